import type { PartitionId, Term } from '../base/ids.ts';
import type { CallId, FromLeader } from '../coordination/messages.ts';
import type { Call, CallPorts } from './call.ts';
import { type Failure, isFailure, noMapLeader } from './failure.ts';

/**
 * A call whose space this node's map does not have: it looks at the cluster's map, and is then the call that
 * was asked for, or refused. It has sent nothing before.
 */
export class LookingCall implements Call {
  readonly #ports: CallPorts;
  readonly #number: CallId;
  readonly #waits: boolean;
  readonly #look: (run: (failure: Failure | undefined) => void) => void;
  readonly #make: () => Call | Failure;
  #call: Call | undefined;
  #isWaitEnded = false;

  constructor(
    ports: CallPorts,
    number: CallId,
    options: {
      /** Whether the call waits at all. */
      readonly waits: boolean;
      /** Runs when the map has been looked at; not where nobody waits for the call's answer any more. */
      readonly look: (run: (failure: Failure | undefined) => void) => void;
      /** The call itself, by the map as it is then. */
      readonly make: () => Call | Failure;
    },
  ) {
    this.#ports = ports;
    this.#number = number;
    this.#waits = options.waits;
    this.#look = options.look;
    this.#make = options.make;
  }

  start(): void {
    this.#look((failure) => {
      const made = failure ?? this.#make();
      if (isFailure(made)) {
        this.#ports.answer(this.#number, { kind: 'failed', failure: made });
        return;
      }
      this.#call = made;
      made.start();
    });
  }

  /** The call has begun, and is not answered: the end of its wait may have passed meanwhile. */
  begun(): void {
    if (this.#isWaitEnded) this.#call?.endWait();
  }

  receive(message: FromLeader): void {
    this.#call?.receive(message);
  }

  newEpoch(partition: PartitionId, epoch: Term): void {
    this.#call?.newEpoch(partition, epoch);
  }

  linkBroken(partition: PartitionId): void {
    this.#call?.linkBroken(partition);
  }

  endWait(): void {
    this.#isWaitEnded = true;
    this.#call?.endWait();
  }

  cancel(): void {
    if (this.#call !== undefined) this.#call.cancel();
    else if (this.#waits) this.#ports.answer(this.#number, { kind: 'cancelled' });
  }

  giveUp(): void {
    if (this.#call !== undefined) this.#call.giveUp();
    else this.#ports.answer(this.#number, { kind: 'failed', failure: noMapLeader });
  }

  abandon(): void {
    this.#call?.abandon();
  }
}
