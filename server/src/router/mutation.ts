import type { PartitionId, Term } from '../base/ids.ts';
import type { CallId, Change, FromLeader } from '../coordination/messages.ts';
import type { Operation } from '../space/command.ts';
import type { Result } from '../space/outcome.ts';
import type { Call, CallPorts } from './call.ts';
import { type Failure, inDoubt, noLeader, outcomeUnknown, refusedBy, stopped } from './failure.ts';
import type { Answer } from './request.ts';

/** How a change of one partition ended. */
export type Changed =
  | { readonly kind: 'result'; readonly result: Result }
  | { readonly kind: 'unchanged' }
  | { readonly kind: 'failed'; readonly failure: Failure };

/** Who hears once how a change ended: one for all calls of a kind, or the call that it is a part of. */
export interface MutationOwner {
  settled(mutation: MutationCall, changed: Changed): void;
}

/**
 * One change on its way to one partition, which does not wait. It is sent to one leadership at a time. To the next one
 * it goes again only where that is exact: it carries an identity, by which the partition knows it
 * again, or the last leader said that nothing was proposed.
 */
export class MutationCall implements Call {
  readonly partition: PartitionId;
  readonly #ports: CallPorts;
  readonly #call: CallId;
  readonly #operation: Operation | undefined;
  readonly #change: Change;
  readonly #owner: MutationOwner;
  #m = 0;
  /** The leadership that may be carrying it out; undefined: surely none is. */
  #sentTo: Term | undefined;
  /** Whether any leadership may have carried it out. */
  #inDoubt = false;

  constructor(
    ports: CallPorts,
    call: CallId,
    options: {
      readonly partition: PartitionId;
      readonly operation: Operation | undefined;
      readonly change: Change;
      readonly owner: MutationOwner;
    },
  ) {
    this.#ports = ports;
    this.#call = call;
    this.partition = options.partition;
    this.#operation = options.operation;
    this.#change = options.change;
    this.#owner = options.owner;
  }

  /** Ends the call; for its owner alone, where it is a call of its own. */
  answer(answer: Answer): void {
    this.#ports.answer(this.#call, answer);
  }

  start(): void {
    const epoch = this.#ports.epochOf(this.partition);
    if (epoch !== undefined) this.#send(epoch);
  }

  receive(message: FromLeader): void {
    switch (message.kind) {
      case 'result':
        this.#owner.settled(this, { kind: 'result', result: message.result });
        return;
      case 'unchanged':
        // Of an earlier sending, late: it held then, and the one to the next leadership may act now.
        if (message.m !== this.#m) return;
        this.#owner.settled(this, { kind: 'unchanged' });
        return;
      case 'stop':
        this.#owner.settled(this, { kind: 'failed', failure: stopped(message.why) });
        return;
      case 'refused':
        if (message.m !== this.#m) return;
        // An earlier sending may have been carried out, whatever becomes of this one.
        if (this.#inDoubt || message.inDoubt === true) {
          this.#owner.settled(this, { kind: 'failed', failure: inDoubt(message) });
          return;
        }
        this.#owner.settled(this, {
          kind: 'failed',
          failure: refusedBy(message.partition, message.reason, message.message),
        });
        return;
      case 'not-leader':
        this.#refusedBy(message.epoch, message.definite);
        return;
      default:
        return; // Not an answer to a change: a late message for another kind of call.
    }
  }

  newEpoch(partition: PartitionId, epoch: Term): void {
    if (partition !== this.partition) return;
    if (this.#sentTo !== undefined && epoch <= this.#sentTo) return;
    if (this.#sentTo !== undefined) this.#inDoubt = true;
    if (this.#inDoubt && this.#operation === undefined) {
      this.#fail();
      return;
    }
    this.#send(epoch);
  }

  linkBroken(partition: PartitionId): void {
    if (partition !== this.partition || this.#sentTo === undefined) return;
    this.#sentTo = undefined;
    this.#inDoubt = true;
    if (this.#operation === undefined) this.#fail();
  }

  endWait(): void {
    // It does not wait.
  }
  cancel(): void {
    // It does not wait: its answer is on the way.
  }
  giveUp(): void {
    this.#fail();
  }
  abandon(): void {
    // What was sent may happen; nobody asks (SPEC: ended with an unknown outcome).
  }

  #refusedBy(epoch: Term, definite: boolean): void {
    if (this.#sentTo === undefined || epoch < this.#sentTo) return;
    this.#sentTo = undefined;
    if (!definite) this.#inDoubt = true;
    if (this.#inDoubt && this.#operation === undefined) {
      this.#fail();
      return;
    }
    const present = this.#ports.epochOf(this.partition);
    if (present !== undefined && present > epoch) this.#send(present);
  }

  #send(epoch: Term): void {
    this.#m += 1;
    this.#sentTo = epoch;
    this.#ports.send(this.partition, {
      kind: 'mutate',
      call: this.#call,
      operation: this.#operation,
      epoch,
      m: this.#m,
      change: this.#change,
    });
  }

  #fail(): void {
    const unsure = this.#inDoubt || this.#sentTo !== undefined;
    const failure = unsure ? outcomeUnknown(this.partition) : noLeader(this.partition);
    this.#owner.settled(this, { kind: 'failed', failure });
  }
}
