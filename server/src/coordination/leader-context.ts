import { assert, present } from '../base/assert.ts';
import type { LogIndex, PartitionId, Term } from '../base/ids.ts';
import {
  blockedBytesMax,
  blockedMutationsMax,
  parkedBytesMax,
  parkedRequestsMax,
  searchSliceRows,
  limits as shared,
  tupleIndexesMax,
  tupleIndexRowsMin,
  waitersMax,
} from '../base/limits.ts';
import type { Command, RequestOperation } from '../space/command.ts';
import type { Outcome } from '../space/outcome.ts';
import type { Answer, CallId, CoordinatorId, FromLeader } from './messages.ts';
import type { Mutation } from './mutation.ts';
import type { LeaderLimits, LeaderOptions, LeaderPorts, SpaceView } from './ports.ts';

/** Called with what a proposal came to, and where in the log it stood. */
export type Settle = (outcome: Outcome, index: LogIndex) => void;

interface Proposal {
  readonly index: LogIndex;
  readonly settle: Settle;
}

const defaultLimits: LeaderLimits = {
  waitersMax,
  parkedRequestsMax,
  parkedBytesMax,
  blockedMutationsMax,
  blockedBytesMax,
  sessionOperationsMax: shared.sessionOperationsMax,
  sessionBytesMax: shared.sessionBytesMax,
  homeSessionsMax: shared.homeSessionsMax,
  knownSessionsMax: shared.knownSessionsMax,
  endedSessionsMax: shared.endedSessionsMax,
  tupleIndexesMax,
  tupleIndexRowsMin,
  searchSliceRows,
};

/** What all parts of one leader share: its partition's state, its voice, and its entries in flight. */
export class LeaderContext {
  readonly partition: PartitionId;
  readonly epoch: Term;
  readonly space: SpaceView;
  readonly ports: LeaderPorts;
  readonly limits: LeaderLimits;
  /** The node's monotonic clock at the present input. */
  nowMs = 0;
  /** Changes by request id that are not answered yet, by space and id: so many sendings of each. */
  readonly #requests = new Map<string, number>();
  // Invariant: ascending by index; those before #next are settled.
  #proposals: Proposal[] = [];
  #next = 0;

  constructor({ partition, epoch, space, ports, limits }: LeaderOptions) {
    this.partition = partition;
    this.epoch = epoch;
    this.space = space;
    this.ports = ports;
    this.limits = { ...defaultLimits, ...limits };
  }

  /** Whether the partition may have more in flight. */
  hasRoom(): boolean {
    return this.ports.hasRoom?.() ?? true;
  }

  /** Entries proposed and not yet applied. */
  get inFlight(): number {
    return this.#proposals.length - this.#next;
  }

  /** Proposes an entry; `settle` is called when it is applied under this leadership, else never. */
  propose(command: Command, settle: Settle): LogIndex {
    const index = this.ports.propose(command);
    const last = this.#proposals[this.#proposals.length - 1];
    assert(last === undefined || last.index < index, 'log indexes rise');
    this.#proposals.push({ index, settle });
    return index;
  }

  /** An entry was applied: settles the proposal that it was, if it was this leader's (L2). */
  applied(index: LogIndex, outcome: Outcome): void {
    const head = this.#proposals[this.#next];
    if (head === undefined || head.index !== index) return;
    this.#next += 1;
    if (this.#next === this.#proposals.length) {
      this.#proposals.length = 0;
      this.#next = 0;
    } else if (this.#next >= 1_024 && this.#next * 2 > this.#proposals.length) {
      this.#proposals = this.#proposals.slice(this.#next);
      this.#next = 0;
    }
    present(head, 'a proposal').settle(outcome, index);
  }

  /** A change is to be decided; it is answered once, by `answerChange`. */
  beginChange({ operation }: Mutation): void {
    if (operation?.kind !== 'request') return;
    const key = requestKey(operation);
    this.#requests.set(key, (this.#requests.get(key) ?? 0) + 1);
  }

  /** Whether another sending of the same request id is under way here: it may act yet. */
  hasTwin({ operation }: Mutation): boolean {
    return operation?.kind === 'request' && (this.#requests.get(requestKey(operation)) ?? 0) > 1;
  }

  /** Answers a change. */
  answerChange({ coordinator, call, operation }: Mutation, answer: Answer): void {
    if (operation?.kind === 'request') {
      const key = requestKey(operation);
      const left = (this.#requests.get(key) ?? 1) - 1;
      if (left > 0) this.#requests.set(key, left);
      else this.#requests.delete(key);
    }
    this.answer(coordinator, call, answer);
  }

  /**
   * Answers a change that decides again with its result, where an earlier sending of the same identity
   * has one by now: a request id has no fences, so its sendings may wait for each other.
   */
  answerRemembered(mutation: Mutation): boolean {
    const { operation, m } = mutation;
    const result = operation === undefined ? undefined : this.space.result(operation);
    if (result === undefined) return false;
    this.answerChange(mutation, { kind: 'result', result, m });
    return true;
  }

  /** L3: what rests on this being the leader is said only when that is confirmed. */
  confirm(run: () => void): void {
    if (this.ports.confirm === undefined) run();
    else this.ports.confirm(run);
  }

  /** Says something about a call to its coordinator. */
  answer(to: CoordinatorId, call: CallId, answer: Answer): void {
    this.ports.send(to, this.#message(call, answer));
  }

  /** The frequent ones are spelled out: to spread objects of twenty shapes costs more than all else here. */
  #message(call: CallId, answer: Answer): FromLeader {
    const { partition, epoch } = this;
    switch (answer.kind) {
      case 'result':
        return { kind: 'result', call, partition, epoch, result: answer.result, m: answer.m };
      case 'found':
        return { kind: 'found', call, partition, epoch, tuples: answer.tuples, m: answer.m };
      case 'offer': {
        const { operation, offer } = answer;
        return { kind: 'offer', call, partition, epoch, operation, offer };
      }
      case 'empty':
        return { kind: 'empty', call, partition, epoch };
      case 'received':
        return { kind: 'received', call, partition, epoch };
      default:
        return { ...answer, call, partition, epoch };
    }
  }
}

function requestKey({ space, requestId }: RequestOperation): string {
  return `${space} ${requestId}`;
}
