/** Clients of the simulation: PROTOCOL §8, with what each was told. */
import { assert } from '../base/assert.ts';
import type { Attempt, PartitionId, Sequence, SessionId, TupleId } from '../base/ids.ts';
import type { SessionOperation } from '../space/command.ts';
import type { StoredTuple } from '../space/outcome.ts';
import type { Change, CoordinatorId, FromLeader, Query } from './messages.ts';
import type { Answer, SimGateway } from './testing-gateway.ts';
import type { World } from './testing-world.ts';

/** One operation of a client. */
export interface SimOperation {
  readonly sequence: Sequence;
  readonly partitions: readonly PartitionId[];
  readonly isPinned: boolean;
  readonly query: Query;
  readonly change: Change | undefined;
  attempt: number;
  state: 'idle' | 'open' | 'receipting' | 'closed';
  isWaitEnded: boolean;
  isCancelled: boolean;
  gateway: SimGateway | undefined;
  answer: Answer | undefined;
  tuple: StoredTuple | undefined;
  /** I5: partitions seen without a ready match since the newest attempt began. */
  readonly emptySeen: Set<PartitionId>;
}

/** What the simulation hears of a client. */
export interface ClientWatcher {
  began(client: SimClient, operation: SimOperation): void;
  got(client: SimClient, operation: SimOperation, tuple: StoredTuple): void;
  told(client: SimClient, operation: SimOperation, answer: Answer): void;
}

/** One client with its session. */
export class SimClient {
  readonly id: CoordinatorId;
  readonly session: SessionId;
  readonly operations: SimOperation[];
  readonly #world: World;
  readonly #watcher: ClientWatcher;
  isGivenUp = false;

  constructor(options: {
    readonly id: CoordinatorId;
    readonly session: SessionId;
    readonly operations: SimOperation[];
    readonly world: World;
    readonly watcher: ClientWatcher;
  }) {
    this.id = options.id;
    this.session = options.session;
    this.operations = options.operations;
    this.#world = options.world;
    this.#watcher = options.watcher;
  }

  /** f: the lowest sequence that is still open, or not begun. */
  get floor(): Sequence {
    const open = this.operations.find(({ state }) => state !== 'closed');
    return open?.sequence ?? ((this.operations.length + 1) as Sequence);
  }

  /** The attempt that counts (K2). */
  identity({ sequence, attempt }: SimOperation): SessionOperation {
    const { session, floor } = this;
    return { kind: 'session', session, sequence, attempt: attempt as Attempt, floor };
  }

  /** K1, K4: a new attempt, through any gateway. */
  attempt(operation: SimOperation, gateway: SimGateway): void {
    if (this.isGivenUp || (operation.state !== 'idle' && operation.state !== 'open')) return;
    operation.state = 'open';
    operation.attempt += 1;
    operation.gateway = gateway;
    this.#watcher.began(this, operation);
    const { attempt, partitions, isPinned, query, change } = operation;
    const identity = this.identity(operation);
    this.#world.note(
      `client ${this.id} op ${operation.sequence} a${attempt} begins at ${gateway.id}`,
    );
    this.#world.bag.push({
      name: `client ${this.id} to gateway ${gateway.id}: op ${operation.sequence} a${attempt}`,
      run: () =>
        gateway.begin({
          operation: identity,
          partitions,
          isPinned,
          query,
          change,
          // As they are when the request arrives.
          isWaitEnded: operation.isWaitEnded,
          isCancelled: operation.isCancelled,
          answer: (answer) => this.#answered(operation, attempt, answer),
        }),
      lost: () => undefined,
      canRepeat: false,
    });
  }

  /** K3: RECEIPT, until RECEIVED. */
  acknowledge(operation: SimOperation): void {
    const { tuple } = operation;
    if (this.isGivenUp || operation.state !== 'receipting' || tuple === undefined) return;
    const partition = Math.floor(tuple.id / 2 ** 44) as PartitionId;
    this.#world.toLeader(this.id, partition, {
      kind: 'acknowledge',
      call: operation.sequence,
      session: this.session,
      floor: this.floor,
      receipts: [{ sequence: operation.sequence, tuple: tuple.id }],
    });
  }

  /** RECEIVED, or the end of the session. */
  receive(message: FromLeader): void {
    if (message.kind !== 'received' || this.isGivenUp) return;
    const operation = this.operations.find(({ sequence }) => sequence === message.call);
    if (operation?.state === 'receipting') operation.state = 'closed';
  }

  /** S4: nothing is handed to the application any more, and nothing is sent but the end. */
  giveUp(): void {
    this.isGivenUp = true;
  }

  close(): void {
    const home = Math.floor(this.session / 2 ** 44) as PartitionId;
    const { session } = this;
    this.#world.toLeader(this.id, home, { kind: 'close-session', call: 0, session });
  }

  #answered(operation: SimOperation, attempt: number, answer: Answer): void {
    this.#world.bag.push({
      name: `to client ${this.id}: op ${operation.sequence} a${attempt} ${answer.kind}`,
      run: () => this.#hear(operation, attempt, answer),
      lost: () => undefined,
      canRepeat: true,
    });
  }

  /** K2: only an answer to the newest attempt counts. */
  #hear(operation: SimOperation, attempt: number, answer: Answer): void {
    if (this.isGivenUp || operation.state !== 'open' || operation.attempt !== attempt) return;
    if (answer.kind === 'unavailable' || answer.kind === 'outcome-unknown') {
      operation.gateway = undefined;
      return;
    }
    operation.answer = answer;
    if (answer.kind === 'result' && answer.result.kind === 'handed') {
      const [tuple] = answer.result.tuples;
      assert(tuple !== undefined, 'a hand-over has a tuple');
      operation.tuple = tuple;
      operation.state = 'receipting';
      this.#watcher.got(this, operation, tuple);
      this.acknowledge(operation);
      return;
    }
    this.#watcher.told(this, operation, answer);
    operation.state = 'closed';
  }
}

/** A client had this tuple of this operation. */
export function hasTuple(client: SimClient, sequence: Sequence, tuple: TupleId): boolean {
  return client.operations.some((each) => each.sequence === sequence && each.tuple?.id === tuple);
}
