/**
 * The naive model that tests hold `Space` to: plain maps, nothing shared with the product's code but
 * the types, everything looked for by walking. Bounds in bytes are tested apart.
 */
import { unreachable } from '../base/assert.ts';
import type {
  LogIndex,
  PartitionId,
  Sequence,
  SessionId,
  Slot,
  SpaceId,
  StampMs,
  TupleId,
} from '../base/ids.ts';
import type {
  CancelCommand,
  Command,
  DropSpaceCommand,
  EndCommand,
  Entry,
  ExpireCommand,
  FenceCommand,
  ForgetSessionCommand,
  HandCommand,
  KnowCommand,
  OpenSessionCommand,
  Operation,
  ReceiptCommand,
  RenewCommand,
  ReplaceCommand,
  SessionOperation,
  TouchCommand,
  WriteCommand,
} from './command.ts';
import type { SpaceEvent } from './history.ts';
import type { HandOverOutcome, Outcome, Refusal, Result, StoredTuple } from './outcome.ts';

interface ModelTuple {
  id: TupleId;
  revision: LogIndex;
  space: SpaceId;
  slot: Slot;
  bytes: Uint8Array;
  state: 'ready' | 'handed';
  deliveries: number;
  writtenAtMs: StampMs;
  leaseEndMs: StampMs | undefined;
}

interface ModelOperation {
  fence: number;
  handed: TupleId[];
  change: Result | undefined;
}

interface ModelSession {
  floor: number;
  operations: Map<number, ModelOperation>;
}

/** The bounds that the model knows. */
export interface ModelLimits {
  readonly endedMarkMs: number;
  readonly requestResultMs: number;
  readonly requestResultsMax: number;
  readonly historyMs: number;
  readonly batchTuplesMax: number;
}

const perPartition = 2 ** 44;

/** One partition's state, the slow and obvious way. */
export class SpaceModel {
  readonly partition: PartitionId;
  readonly limits: ModelLimits;
  readonly tuples: Map<TupleId, ModelTuple> = new Map();
  readonly known: Map<SessionId, ModelSession> = new Map();
  readonly ended: Map<SessionId, number> = new Map();
  readonly home: Map<
    SessionId,
    { leaseMs: number; name: string; state: 'open' | 'ended'; touched: Set<PartitionId> }
  > = new Map();
  readonly slots: Map<string, LogIndex> = new Map();
  readonly dropped: Set<SpaceId> = new Set();
  returns: TupleId[] = [];
  requests: { id: string; space: SpaceId; stampMs: number; result: Result }[] = [];
  events: SpaceEvent[] = [];
  index = 0 as LogIndex;
  stampMs = 0 as StampMs;
  tupleCounter = 0;
  sessionCounter = 0;

  /** Tuples given back by the present entry. */
  #returned = 0;

  constructor(partition: PartitionId, limits: ModelLimits) {
    this.partition = partition;
    this.limits = limits;
  }

  apply(index: LogIndex, entry: Entry): Outcome {
    this.index = index;
    this.stampMs = Math.max(this.stampMs, entry.stampMs) as StampMs;
    const before = this.events.length;
    this.#returned = 0;
    const outcome = this.#command(entry.command);
    const last = this.events.at(-1);
    if (this.events.length > before && last !== undefined) {
      this.events[this.events.length - 1] = { ...last, last: true };
    }
    const { endedMarkMs, requestResultMs, requestResultsMax, historyMs } = this.limits;
    const now = this.stampMs;
    for (const [id, at] of this.ended) if (at + endedMarkMs <= now) this.ended.delete(id);
    this.requests = this.requests.filter((r) => r.stampMs + requestResultMs > now);
    this.requests = this.requests.slice(-requestResultsMax);
    this.events = this.events.filter((e) => e.stampMs + historyMs > now);
    return outcome;
  }

  /** Tuples of a space in a state, oldest first. */
  listed(space: SpaceId, state?: 'ready' | 'handed'): TupleId[] {
    return [...this.tuples.values()]
      .filter((t) => t.space === space && (state === undefined || t.state === state))
      .map((t) => t.id)
      .sort((a, b) => a - b);
  }

  stored(id: TupleId): StoredTuple {
    const tuple = this.tuples.get(id);
    if (tuple === undefined) throw new Error('no such tuple');
    const { space: _space, slot: _slot, ...stored } = tuple;
    return stored;
  }

  admit(operation: SessionOperation): 'ok' | Refusal {
    const { session, sequence, attempt, floor } = operation;
    const known = this.known.get(session);
    if (known === undefined) return this.ended.has(session) ? 'ended' : 'unknown-session';
    if (sequence < Math.max(known.floor, floor)) return 'closed';
    return attempt < (known.operations.get(sequence)?.fence ?? 0) ? 'fenced' : 'ok';
  }

  result(operation: Operation): Result | undefined {
    if (operation.kind === 'request') {
      const { requestId, space } = operation;
      return this.requests.find((r) => r.id === requestId && r.space === space)?.result;
    }
    const record = this.known.get(operation.session)?.operations.get(operation.sequence);
    if (record === undefined) return undefined;
    if (record.handed.length === 0) return record.change;
    return { kind: 'handed', tuples: record.handed.map((id) => this.stored(id)) };
  }

  #command(command: Command): Outcome {
    switch (command.kind) {
      case 'write':
        return this.#write(command);
      case 'hand':
        return this.#hand(command);
      case 'fence':
        return this.#fence(command);
      case 'receipt':
        return this.#receipt(command);
      case 'replace':
        return this.#replace(command);
      case 'cancel':
        return this.#cancel(command);
      case 'renew':
        return this.#renew(command);
      case 'expire':
        return this.#expire(command);
      case 'open-session':
        return this.#openSession(command);
      case 'touch':
        return this.#touch(command);
      case 'know':
        return this.#know(command);
      case 'end':
        return this.#end(command);
      case 'forget-session':
        return this.#forgetSession(command);
      case 'drop-space':
        return this.#dropSpace(command);
      case 'give-back':
        this.#giveBack([]);
        return { kind: 'done' };
      case 'lead':
        return { kind: 'done' };
      default:
        return unreachable(command);
    }
  }

  #write(command: WriteCommand): Outcome {
    const { space, absence } = command;
    const early = this.#begin(command.operation);
    if (early !== undefined) return early;
    if (absence && (this.slots.get(`${space}/${absence.slot}`) ?? 0) !== absence.lastChange) {
      return { kind: 'miss' };
    }
    const ids = command.tuples.map((tuple) => {
      this.tupleCounter += 1;
      const id = (this.partition * perPartition + this.tupleCounter) as TupleId;
      this.tuples.set(id, {
        id,
        revision: this.index,
        space,
        slot: tuple.slot,
        bytes: tuple.bytes.slice(),
        state: 'ready',
        deliveries: 0,
        writtenAtMs: this.stampMs,
        leaseEndMs: this.#leaseEnd(tuple.leaseMs),
      });
      this.slots.set(`${space}/${tuple.slot}`, this.index);
      this.#event('written', id);
      return id;
    });
    const tuples = ids.map((id) => {
      const { revision, leaseEndMs } = this.stored(id);
      return { id, revision, leaseEndMs };
    });
    const result: Result = { kind: 'written', tuples };
    this.#remember(command.operation, result);
    const handOvers = command.handOvers.map(({ tuple, to }): HandOverOutcome => {
      this.#floor(to);
      const admitted = this.admit(to);
      if (admitted !== 'ok') return { kind: 'stop', why: admitted };
      const earlier = this.result(to);
      if (earlier !== undefined) return { kind: 'result', result: earlier };
      return { kind: 'result', result: this.#handTo(to, [ids[tuple] as TupleId]) };
    });
    return { kind: 'result', result, handOvers };
  }

  #hand(command: HandCommand): Outcome {
    const early = this.#begin(command.operation);
    if (early !== undefined) return early;
    if (command.tuples.some((id) => !this.#visible(id))) return { kind: 'miss' };
    const result = this.#handTo(command.operation, [...command.tuples]);
    return { kind: 'result', result, handOvers: [] };
  }

  #fence(command: FenceCommand): Outcome {
    this.#floor(command.operation);
    const admitted = this.admit(command.operation);
    if (admitted !== 'ok') return { kind: 'stop', why: admitted };
    this.#record(command.operation).fence = command.operation.attempt;
    const result = this.result(command.operation);
    return result ? { kind: 'result', result, handOvers: [] } : { kind: 'fenced' };
  }

  #receipt(command: ReceiptCommand): Outcome {
    const known = this.known.get(command.session);
    for (const { sequence, tuple } of command.receipts) {
      const record = known?.operations.get(sequence);
      if (known === undefined || record === undefined) continue;
      if (!record.handed.includes(tuple)) continue;
      record.handed = record.handed.filter((id) => id !== tuple);
      this.#remove(tuple);
      if (record.handed.length === 0 && record.fence === 0) known.operations.delete(sequence);
    }
    this.#floor(command);
    return { kind: 'received' };
  }

  #replace(command: ReplaceCommand): Outcome {
    const early = this.#begin(command.operation);
    if (early !== undefined) return early;
    const tuple = this.tuples.get(command.tuple);
    if (tuple === undefined || !this.#visible(tuple.id)) return { kind: 'miss' };
    if (tuple.revision !== command.revision) return { kind: 'miss' };
    const old = this.stored(tuple.id);
    tuple.revision = this.index;
    tuple.bytes = command.bytes.slice();
    if (command.leaseMs !== 'keep') tuple.leaseEndMs = this.#leaseEnd(command.leaseMs);
    this.slots.set(`${tuple.space}/${tuple.slot}`, this.index);
    this.#event('replaced', tuple.id, { revision: old.revision, bytes: old.bytes });
    const { id, revision, leaseEndMs } = tuple;
    const result: Result = {
      kind: 'replaced',
      written: { id, revision, leaseEndMs },
      old,
      new: this.stored(id),
    };
    this.#remember(command.operation, result);
    return { kind: 'result', result, handOvers: [] };
  }

  #cancel(command: CancelCommand): Outcome {
    const early = this.#begin(command.operation);
    if (early !== undefined) return early;
    const found = this.#visible(command.tuple);
    if (found) {
      this.#event('cancelled', command.tuple);
      this.#remove(command.tuple);
    }
    const result: Result = { kind: 'cancelled', found };
    this.#remember(command.operation, result);
    return { kind: 'result', result, handOvers: [] };
  }

  #renew(command: RenewCommand): Outcome {
    const early = this.#begin(command.operation);
    if (early !== undefined) return early;
    const tuple = this.tuples.get(command.tuple);
    const found = tuple !== undefined && !this.#over(tuple);
    if (found) tuple.leaseEndMs = this.#leaseEnd(command.leaseMs);
    const leaseEndMs = found ? tuple.leaseEndMs : undefined;
    const result: Result = { kind: 'renewed', found, leaseEndMs };
    this.#remember(command.operation, result);
    return { kind: 'result', result, handOvers: [] };
  }

  #expire(command: ExpireCommand): Outcome {
    for (const id of command.tuples) {
      const tuple = this.tuples.get(id);
      if (tuple === undefined || tuple.state !== 'ready' || !this.#over(tuple)) continue;
      this.#event('expired', id);
      this.#remove(id);
    }
    return { kind: 'done' };
  }

  #openSession(command: OpenSessionCommand): Outcome {
    this.sessionCounter += 1;
    const session = (this.partition * perPartition + this.sessionCounter) as SessionId;
    const { leaseMs, name } = command;
    this.home.set(session, { leaseMs, name, state: 'open', touched: new Set() });
    return { kind: 'session-opened', session, leaseMs };
  }

  #touch(command: TouchCommand): Outcome {
    const home = this.home.get(command.session);
    const open = home?.state === 'open';
    if (open) home.touched.add(command.partition);
    return { kind: 'session', open };
  }

  #know(command: KnowCommand): Outcome {
    const open = !this.ended.has(command.session);
    if (open && !this.known.has(command.session)) {
      this.known.set(command.session, { floor: 1, operations: new Map() });
    }
    return { kind: 'session', open };
  }

  #end(command: EndCommand): Outcome {
    const known = this.known.get(command.session);
    this.known.delete(command.session);
    for (const [, record] of this.#sorted(known)) this.#letGo(record.handed);
    const home = this.home.get(command.session);
    if (home !== undefined) home.state = 'ended';
    const isMarked = home === undefined || home.touched.has(this.partition);
    if (isMarked && !this.ended.has(command.session)) this.ended.set(command.session, this.stampMs);
    return { kind: 'done' };
  }

  #forgetSession(command: ForgetSessionCommand): Outcome {
    if (this.home.get(command.session)?.state === 'ended') this.home.delete(command.session);
    return { kind: 'done' };
  }

  #dropSpace(command: DropSpaceCommand): Outcome {
    if (this.listed(command.space).length > 0) this.dropped.add(command.space);
    for (const id of this.listed(command.space, 'ready').slice(0, this.limits.batchTuplesMax)) {
      this.#event('cancelled', id);
      this.#remove(id);
    }
    return { kind: 'done' };
  }

  #begin(operation: Operation | undefined): Outcome | undefined {
    if (operation === undefined) return undefined;
    if (operation.kind === 'session') {
      this.#floor(operation);
      const admitted = this.admit(operation);
      if (admitted !== 'ok') return { kind: 'stop', why: admitted };
    }
    const result = this.result(operation);
    return result && { kind: 'result', result, handOvers: [] };
  }

  #sorted(known: ModelSession | undefined): [number, ModelOperation][] {
    return [...(known?.operations ?? [])].sort(([a], [b]) => a - b);
  }

  #floor({ session, floor }: { readonly session: SessionId; readonly floor: Sequence }): void {
    const known = this.known.get(session);
    if (known === undefined || floor <= known.floor) return;
    known.floor = floor;
    for (const [sequence, record] of this.#sorted(known)) {
      if (sequence >= floor) continue;
      known.operations.delete(sequence);
      this.#letGo(record.handed);
    }
  }

  /** An entry that lets nothing go leaves those that wait to GIVE-BACK. */
  #letGo(handed: readonly TupleId[]): void {
    if (handed.length > 0) this.#giveBack(handed);
  }

  #giveBack(more: readonly TupleId[]): void {
    this.returns.push(...more);
    const ids = this.returns.splice(0, this.limits.batchTuplesMax - this.#returned);
    this.#returned += ids.length;
    for (const id of ids) {
      const tuple = this.tuples.get(id);
      if (tuple === undefined) throw new Error('handed tuples exist');
      if (this.#over(tuple)) {
        this.#event('expired', id);
        this.#remove(id);
      } else if (this.dropped.has(tuple.space)) {
        this.#event('cancelled', id);
        this.#remove(id);
      } else {
        tuple.state = 'ready';
        tuple.deliveries += 1;
        this.#event('returned', id);
      }
    }
  }

  #handTo(operation: SessionOperation, ids: TupleId[]): Result {
    for (const id of ids) {
      const tuple = this.tuples.get(id);
      if (tuple === undefined) throw new Error('tuples to be handed over exist');
      tuple.state = 'handed';
      this.#event('taken', id);
    }
    this.#record(operation).handed = ids;
    return { kind: 'handed', tuples: ids.map((id) => this.stored(id)) };
  }

  #record({ session, sequence }: SessionOperation): ModelOperation {
    const known = this.known.get(session);
    if (known === undefined) throw new Error('the session is known');
    let record = known.operations.get(sequence);
    if (record === undefined) {
      record = { fence: 0, handed: [], change: undefined };
      known.operations.set(sequence, record);
    }
    return record;
  }

  #remember(operation: Operation | undefined, result: Result): void {
    if (operation === undefined) return;
    if (operation.kind === 'session') this.#record(operation).change = result;
    else {
      const { requestId: id, space } = operation;
      this.requests.push({ id, space, stampMs: this.stampMs, result });
    }
  }

  #over(tuple: ModelTuple): boolean {
    return tuple.leaseEndMs !== undefined && tuple.leaseEndMs <= this.stampMs;
  }

  #visible(id: TupleId): boolean {
    const tuple = this.tuples.get(id);
    return tuple !== undefined && tuple.state === 'ready' && !this.#over(tuple);
  }

  #leaseEnd(leaseMs: number | undefined): StampMs | undefined {
    return leaseMs === undefined ? undefined : ((this.stampMs + leaseMs) as StampMs);
  }

  #remove(id: TupleId): void {
    const space = this.tuples.get(id)?.space;
    this.tuples.delete(id);
    if (space !== undefined && this.listed(space).length === 0) this.dropped.delete(space);
  }

  #event(kind: SpaceEvent['kind'], id: TupleId, old?: SpaceEvent['old']): void {
    const tuple = this.tuples.get(id);
    if (tuple === undefined) throw new Error('an event is about a tuple');
    const previous = this.events.at(-1)?.place;
    const position = previous?.revision === this.index ? previous.position + 1 : 0;
    const state = kind === 'taken' ? 'handed' : 'ready';
    this.events.push({
      place: { revision: this.index, position },
      kind,
      last: false,
      stampMs: this.stampMs,
      space: tuple.space,
      slot: tuple.slot,
      tuple: { ...this.stored(id), state },
      old,
    });
  }
}
