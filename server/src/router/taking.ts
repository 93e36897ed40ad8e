import { present } from '../base/assert.ts';
import type { PartitionId, Term } from '../base/ids.ts';
import type { CallId, FromLeader, Query, ToLeader } from '../coordination/messages.ts';
import { PinnedTake } from '../coordination/pinned-take.ts';
import type { TakeAnswer, TakePorts } from '../coordination/take-answer.ts';
import { TakeCoordinator } from '../coordination/take-coordinator.ts';
import type { SessionOperation } from '../space/command.ts';
import type { Call, CallPorts } from './call.ts';
import { identityReused, noLeader, outcomeUnknown, refusedBy, stopped } from './failure.ts';
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

/** One attempt of a take in a session: PROTOCOL §7 where the template is pinned, else §5. */
export class TakeCall implements Call, TakePorts {
  readonly #ports: CallPorts;
  readonly #number: CallId;
  readonly #pinned: boolean;
  readonly #partition: PartitionId;
  readonly #take: PinnedTake | TakeCoordinator;
  readonly #waits: boolean;
  readonly #cancels: boolean;

  constructor(ports: CallPorts, number: CallId, options: TakeCallOptions) {
    const { operation, query, target } = options;
    this.#ports = ports;
    this.#number = number;
    this.#pinned = target.slot !== undefined;
    this.#partition = present(target.partitions[0], 'a take addresses partitions');
    this.#waits = options.waits;
    this.#cancels = options.cancels;
    const shared = {
      call: number,
      operation,
      query,
      ports: this,
      nowMs: ports.nowMs(),
    };
    if (target.slot !== undefined) {
      const partition = this.#partition;
      this.#take = new PinnedTake({ ...shared, partition, epoch: ports.epochOf(partition) });
    } else {
      const partitions = new Map(target.partitions.map((each) => [each, ports.epochOf(each)]));
      this.#take = new TakeCoordinator({ ...shared, partitions });
    }
  }

  start(): void {
    const now = this.#ports.nowMs();
    // A pinned take that does not wait says so with its first message.
    if (this.#cancels) {
      if (this.#take instanceof TakeCoordinator) this.#take.start();
      this.#take.cancel(now);
    } else if (this.#take instanceof TakeCoordinator) {
      this.#take.start();
      if (!this.#waits) this.#take.waitEnded(now);
    } else if (this.#waits) this.#take.start(now);
    else this.#take.waitEnded(now);
  }

  receive(message: FromLeader): void {
    this.#take.receive(message, this.#ports.nowMs());
  }

  newEpoch(partition: PartitionId, epoch: Term): void {
    const now = this.#ports.nowMs();
    if (this.#take instanceof TakeCoordinator) this.#take.leadership(partition, epoch, now);
    else if (partition === this.#partition) this.#take.leadership(epoch, now);
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
      this.#ports.answer(this.#number, {
        kind: 'failed',
        failure: outcomeUnknown(this.#partition),
      });
  }

  abandon(): void {
    // What it got stays for the session's next attempt; waiters go.
    if (!this.#take.isFinished) this.#take.cancel(this.#ports.nowMs());
  }

  /** Called by the take's state machine alone. */
  send(to: PartitionId, message: ToLeader): void {
    this.#ports.send(to, message);
  }

  /** Called by the take's state machine alone, once. */
  finish(answer: TakeAnswer): void {
    this.#ports.answer(this.#number, this.#answerOf(answer));
  }

  #answerOf(answer: TakeAnswer): Answer {
    switch (answer.kind) {
      case 'result': {
        if (answer.result.kind !== 'handed') return { kind: 'failed', failure: identityReused };
        return { kind: 'found', tuples: answer.result.tuples, delivery: undefined };
      }
      case 'nothing':
        return { kind: 'nothing', scope: this.#pinned ? 'linearizable' : 'each-partition' };
      case 'cancelled':
        return { kind: 'cancelled' };
      case 'stop':
        return { kind: 'failed', failure: stopped(answer.why) };
      case 'refused': {
        const failure = refusedBy(this.#partition, answer.reason, answer.message);
        return { kind: 'failed', failure };
      }
      case 'unavailable':
        return { kind: 'failed', failure: noLeader(answer.partitions[0] ?? this.#partition) };
      case 'outcome-unknown':
        return { kind: 'failed', failure: outcomeUnknown(answer.partitions[0] ?? this.#partition) };
    }
  }
}
