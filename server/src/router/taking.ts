import { present } from '../base/assert.ts';
import type { PartitionId, Term } from '../base/ids.ts';
import type { CallId, FromLeader, Query, ToLeader } from '../coordination/messages.ts';
import { PinnedTake } from '../coordination/pinned-take.ts';
import type { TakeAnswer, TakePorts } from '../coordination/take-answer.ts';
import { TakeCoordinator } from '../coordination/take-coordinator.ts';
import type { SessionOperation } from '../space/command.ts';
import type { Call, CallPorts } from './call.ts';
import {
  type Failure,
  identityReused,
  inDoubt,
  noLeader,
  outcomeUnknown,
  refusedBy,
  stopped,
} from './failure.ts';
import type { Answer } from './request.ts';
import type { Target } from './routing.ts';

/** What one attempt of a take is made of. */
export interface TakeCallOptions {
  readonly operation: SessionOperation;
  readonly target: Target;
  readonly query: Query;
  /** Whether it waits at all. */
  readonly waits: boolean;
  /** Whether the attempt only fences the earlier ones (K1). */
  readonly cancels: boolean;
}

/** How an attempt begins: it waits, or looks once, or only fences the earlier ones. */
type Beginning = 'waits' | 'looks' | 'cancels';

/** One attempt of a take in a session: PROTOCOL §7 where the template is pinned, else §5. */
export class TakeCall implements Call, TakePorts {
  readonly #ports: CallPorts;
  readonly #take: PinnedTake | TakeCoordinator;
  readonly #beginning: Beginning;

  constructor(ports: CallPorts, number: CallId, options: TakeCallOptions) {
    this.#ports = ports;
    const { waits, cancels } = options;
    this.#beginning = cancels ? 'cancels' : waits ? 'waits' : 'looks';
    const isPinned = options.target.slot !== undefined;
    this.#take = isPinned ? this.#pinned(number, options) : this.#unpinned(number, options);
  }

  #pinned(call: CallId, { operation, query, target }: TakeCallOptions): PinnedTake {
    const partition = present(target.partitions[0], 'a take addresses partitions');
    const epoch = this.#ports.epochOf(partition);
    const nowMs = this.#ports.nowMs();
    return new PinnedTake({ call, operation, query, partition, epoch, ports: this, nowMs });
  }

  #unpinned(call: CallId, { operation, query, target }: TakeCallOptions): TakeCoordinator {
    const { partitions } = target;
    const epochOf = (each: PartitionId): Term | undefined => this.#ports.epochOf(each);
    const nowMs = this.#ports.nowMs();
    return new TakeCoordinator({ call, operation, query, partitions, epochOf, ports: this, nowMs });
  }

  start(): void {
    const take = this.#take;
    const now = this.#ports.nowMs();
    // A pinned take that does not wait says so with its first message.
    if (this.#beginning === 'cancels') {
      if (take instanceof TakeCoordinator) take.start();
      take.cancel(now);
    } else if (take instanceof TakeCoordinator) {
      take.start();
      if (this.#beginning === 'looks') take.waitEnded(now);
    } else if (this.#beginning === 'waits') take.start(now);
    else take.waitEnded(now);
  }

  receive(message: FromLeader): void {
    this.#take.receive(message, this.#ports.nowMs());
  }

  newEpoch(partition: PartitionId, epoch: Term): void {
    this.#leadership(partition, epoch);
  }

  linkBroken(partition: PartitionId): void {
    this.#leadership(partition, undefined);
  }

  #leadership(partition: PartitionId, epoch: Term | undefined): void {
    const now = this.#ports.nowMs();
    if (this.#take instanceof TakeCoordinator) this.#take.leadership(partition, epoch, now);
    else if (partition === this.#take.partition) this.#take.leadership(epoch, now);
  }

  endWait(): void {
    this.#take.waitEnded(this.#ports.nowMs());
  }

  cancel(): void {
    this.#take.cancel(this.#ports.nowMs());
  }

  giveUp(): void {
    const now = this.#ports.nowMs();
    this.#take.waitEnded(now);
    if (!this.#take.isFinished) this.#take.tick(now);
    if (!this.#take.isFinished)
      this.#ports.answer(this.#take.call, {
        kind: 'failed',
        failure: outcomeUnknown(this.#take.partition),
      });
  }

  abandon(): void {
    // What it got stays for the session's next attempt; waiters go.
    const take = this.#take;
    if (take instanceof TakeCoordinator) take.abandon();
    else if (!take.isFinished) take.cancel(this.#ports.nowMs());
  }

  /** Called by the take's state machine alone. */
  send(to: PartitionId, message: ToLeader): void {
    this.#ports.send(to, message);
  }

  /** Called by the take's state machine alone, once. */
  finish(answer: TakeAnswer): void {
    this.#ports.answer(this.#take.call, answerOf(answer, this.#take));
  }
}

function unknownOf(
  { partitions, refusal, onlyByCopy }: TakeAnswer & { readonly kind: 'outcome-unknown' },
  partition: PartitionId,
): Failure {
  if (refusal === undefined) return outcomeUnknown(partitions[0] ?? partition);
  return inDoubt(refusal, onlyByCopy);
}

function answerOf(answer: TakeAnswer, take: PinnedTake | TakeCoordinator): Answer {
  switch (answer.kind) {
    case 'result': {
      if (answer.result.kind !== 'handed') return { kind: 'failed', failure: identityReused };
      return { kind: 'found', tuples: answer.result.tuples, delivery: undefined };
    }
    case 'nothing':
      return {
        kind: 'nothing',
        scope: take instanceof PinnedTake ? 'linearizable' : 'each-partition',
      };
    case 'cancelled':
      return { kind: 'cancelled' };
    case 'stop':
      return { kind: 'failed', failure: stopped(answer.why) };
    case 'refused': {
      const failure = refusedBy(take.partition, answer.reason, answer.message);
      return { kind: 'failed', failure };
    }
    case 'unavailable':
      return { kind: 'failed', failure: noLeader(answer.partitions[0] ?? take.partition) };
    case 'outcome-unknown':
      return { kind: 'failed', failure: unknownOf(answer, take.partition) };
  }
}
