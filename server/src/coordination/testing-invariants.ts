/** PROTOCOL §9, checked around every applied entry and at every answer. */
import { decodeTuple, FieldOffsets, matchTuple } from '@tuplet/proto';
import type { LogIndex, PartitionId, TupleId } from '../base/ids.ts';
import type { Command, SessionOperation } from '../space/command.ts';
import type { Outcome, Result, StoredTuple } from '../space/outcome.ts';
import type { Space } from '../space/space.ts';
import {
  type ClientWatcher,
  hasTuple,
  type SimClient,
  type SimOperation,
} from './testing-client.ts';
import type { Answer } from './testing-gateway.ts';
import type { ApplyWatcher, World } from './testing-world.ts';

const offsets = new FieldOffsets();

/** An invariant does not hold. */
export class Violation extends Error {
  override readonly name = 'Violation';
}

function check(holds: boolean, what: string): void {
  if (!holds) throw new Violation(what);
}

/** What clients were told. */
export interface Counts {
  taken: number;
  nothing: number;
  cancelled: number;
  written: number;
  unchanged: number;
  incremented: number;
}

/** Watches the log and the clients. */
export class Invariants implements ApplyWatcher, ClientWatcher {
  readonly #world: World;
  clients: readonly SimClient[] = [];
  /** I1: who had a tuple, in order. */
  readonly #receivers = new Map<TupleId, SimClient[]>();
  /** I2: by operation, the tuples that a receipt took away. */
  readonly #gone = new Map<string, Set<TupleId>>();
  /** I6, and conservation: how often each content was written. */
  readonly written: Map<string, TupleId[]> = new Map();
  /** Effects of increments in the log. */
  incrementsApplied = 0;
  #handedBefore = new Set<string>();
  #presentBefore: TupleId[] = [];
  /** Results acknowledged to clients. */
  readonly counts: Counts = {
    taken: 0,
    nothing: 0,
    cancelled: 0,
    written: 0,
    unchanged: 0,
    incremented: 0,
  };

  constructor(world: World) {
    this.#world = world;
  }

  before(space: Space, command: Command): void {
    this.#handedBefore = new Set();
    for (const to of receiversOf(command)) {
      if (space.result(to)?.kind === 'handed') this.#handedBefore.add(nameOf(to));
    }
    if (command.kind === 'receipt') {
      const tuples = command.receipts.map(({ tuple }) => tuple);
      this.#presentBefore = tuples.filter((tuple) => space.rowOf(tuple) >= 0);
    }
  }

  after(space: Space, command: Command, outcome: Outcome, index: LogIndex): void {
    this.#world.note(`  p${space.partition} applies ${index} ${command.kind}: ${outcome.kind}`);
    for (const to of receiversOf(command)) {
      if (space.result(to)?.kind === 'handed' && !this.#handedBefore.has(nameOf(to))) {
        this.#handedTo(to);
      }
    }
    if (command.kind === 'receipt') this.#received(space, command);
    if (outcome.kind === 'result') this.#effect(command, outcome.result, index);
    this.#lookForEmpty(space);
    for (const client of this.clients) this.#checkOneTuple(client);
  }

  began(_client: SimClient, operation: SimOperation): void {
    operation.emptySeen.clear();
    for (const partition of operation.partitions) this.#look(operation, partition);
  }

  /** I1. */
  got(client: SimClient, _operation: SimOperation, { id }: StoredTuple): void {
    const receivers = this.#receivers.get(id) ?? [];
    for (const earlier of receivers) {
      const home = Math.floor(earlier.session / 2 ** 44) as PartitionId;
      const isOpen = this.#world.group(home).space.home(earlier.session)?.state === 'open';
      check(!isOpen, 'I1: a tuple was handed out again while its receiver lives');
    }
    this.#receivers.set(id, [...receivers, client]);
    this.counts.taken += 1;
  }

  told(_client: SimClient, operation: SimOperation, answer: Answer): void {
    if (answer.kind === 'nothing') {
      this.counts.nothing += 1;
      for (const partition of operation.partitions) {
        check(
          operation.emptySeen.has(partition),
          'I5: "nothing" was said of a partition with a match',
        );
      }
    } else if (answer.kind === 'cancelled') this.counts.cancelled += 1;
    else if (answer.kind === 'unchanged') this.counts.unchanged += 1;
    else if (answer.kind === 'result' && answer.result.kind === 'written') this.counts.written += 1;
    else if (answer.kind === 'result') this.counts.incremented += 1;
    // Nothing but faults that are not in this world refuses or stops the newest attempt of a living client.
    else
      check(
        false,
        `I9: the newest attempt of a living client ended with ${JSON.stringify(answer)}`,
      );
  }

  /** At rest: I7 to I9, and that nothing was lost. */
  atRest(): void {
    for (const { space } of this.#world.groups.values()) {
      check(space.counts().handed === 0, 'I7: a tuple stays handed over');
    }
    for (const [content, ids] of this.written) {
      for (const id of ids) {
        const { space } = this.#world.group(Math.floor(id / 2 ** 44) as PartitionId);
        if (space.rowOf(id) >= 0) continue;
        const had = this.#receivers.get(id) ?? [];
        check(had.length > 0 || content.includes('leased'), 'I7: a tuple is gone that nobody had');
      }
    }
    for (const client of this.clients) {
      if (client.isGivenUp) continue;
      for (const operation of client.operations) this.#answeredAtRest(operation);
    }
  }

  /** I4, and the count for I2. */
  #handedTo(to: SessionOperation): void {
    const client = this.clients.find(({ session }) => session === to.session);
    const operation = client?.operations.find(({ sequence }) => sequence === to.sequence);
    if (client === undefined || operation === undefined) return;
    const isClosed = operation.state === 'closed' || operation.state === 'receipting';
    check(
      client.isGivenUp || !isClosed,
      'I4: a closed operation of a living client was handed a tuple',
    );
  }

  /** I3. */
  #received(space: Space, command: Extract<Command, { readonly kind: 'receipt' }>): void {
    for (const { tuple, sequence } of command.receipts) {
      if (!this.#presentBefore.includes(tuple) || space.rowOf(tuple) >= 0) continue;
      const client = this.clients.find(({ session }) => session === command.session);
      const had = client !== undefined && hasTuple(client, sequence, tuple);
      check(had, 'I3: a tuple went by the receipt of one who never had it');
      const name = `${command.session}.${sequence}`;
      this.#gone.set(name, (this.#gone.get(name) ?? new Set()).add(tuple));
    }
  }

  /** I6. */
  #effect(command: Command, result: Result, index: LogIndex): void {
    if (
      command.kind === 'write' &&
      result.kind === 'written' &&
      result.tuples[0]?.revision === index
    ) {
      for (let i = 0; i < command.tuples.length; i += 1) {
        const content = JSON.stringify(decodeTuple(command.tuples[i]?.bytes ?? new Uint8Array()));
        const ids = [...(this.written.get(content) ?? []), result.tuples[i]?.id as TupleId];
        this.written.set(content, ids);
        check(ids.length === 1, `I6: ${content} was written twice`);
      }
    }
    if (command.kind === 'replace' && result.kind === 'replaced') {
      if (result.written.revision === index) this.incrementsApplied += 1;
    }
  }

  /** I2. */
  #checkOneTuple(client: SimClient): void {
    for (const operation of client.operations) {
      if (operation.change !== undefined || operation.state === 'idle') continue;
      const identity = client.identity(operation);
      const tuples = new Set(this.#gone.get(nameOf(identity)));
      for (const { space } of this.#world.groups.values()) {
        const result = space.result(identity);
        if (result?.kind === 'handed') for (const { id } of result.tuples) tuples.add(id);
      }
      check(tuples.size <= 1, 'I2: an operation has two tuples');
    }
  }

  /** I5: where the committed state has no ready match. */
  #lookForEmpty(space: Space): void {
    for (const client of this.clients) {
      for (const operation of client.operations) {
        if (operation.state !== 'open' || operation.change !== undefined) continue;
        if (operation.partitions.includes(space.partition))
          this.#look(operation, space.partition, space);
      }
    }
  }

  #look(operation: SimOperation, partition: PartitionId, space?: Space): void {
    const committed = space ?? this.#world.group(partition).space;
    if (!hasReadyMatch(committed, operation)) operation.emptySeen.add(partition);
  }

  /** I8, I9. */
  #answeredAtRest(operation: SimOperation): void {
    const { state, change, isWaitEnded, isCancelled, partitions } = operation;
    if (state === 'closed' || state === 'idle') return;
    check(state !== 'receipting', 'I9: a receipt is not confirmed');
    check(change === undefined, 'I9: a change is not answered');
    check(!isWaitEnded, 'I9: a take whose wait ended is not answered');
    check(!isCancelled, 'I9: a take that was cancelled is not answered');
    for (const partition of partitions) {
      const { space } = this.#world.group(partition);
      check(!hasReadyMatch(space, operation), 'I8: a take waits while a match is ready');
    }
  }
}

function hasReadyMatch(space: Space, { query }: SimOperation): boolean {
  for (let row = space.oldestReady(query.space); row >= 0; row = space.nextReady(row)) {
    if (!space.rows.visible(row, space.stampMs)) continue;
    const bytes = space.bytesOf(row);
    if (matchTuple(query.template, bytes, offsets.scan(bytes))) return true;
  }
  return false;
}

function receiversOf(command: Command): SessionOperation[] {
  if (command.kind === 'hand') return [command.operation];
  return command.kind === 'write' ? command.handOvers.map(({ to }) => to) : [];
}

function nameOf({ session, sequence }: SessionOperation): string {
  return `${session}.${sequence}`;
}
