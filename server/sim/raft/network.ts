/** Messages between replicas: lost, repeated, late, out of order; one-way cuts; old ones that come again. */
import type { Prng } from '../../src/base/prng.ts';
import { type Message, MessageKind } from '../../src/raft/message.ts';
import type { Scheduler } from '../scheduler.ts';
import type { RaftPath } from './coverage.ts';
import type { RaftSettings } from './settings.ts';

const rememberedMax = 256;
const snapshotReportMs = 20;

/** Where messages arrive. */
export interface Inbox {
  /** Whether it was there to hear it. */
  deliver(message: Message): boolean;
  /** The snapshot to a replica has arrived, or has not. */
  snapshotFate(from: number, to: number, arrived: boolean): void;
  count(name: RaftPath): void;
}

/** One way between two replicas. */
export interface Link {
  readonly from: number;
  readonly to: number;
}

/** See the top of the file. */
export class RaftNetwork {
  readonly #scheduler: Scheduler;
  readonly #random: Prng;
  readonly #settings: RaftSettings;
  readonly #inbox: Inbox;
  /** Senders that a receiver does not hear, by receiver, and how many cuts say so. */
  readonly #cuts = new Map<number, Map<number, number>>();
  readonly #remembered: Message[] = [];
  readonly #arrivals = new Map<number, number>();
  faultless = false;

  constructor(scheduler: Scheduler, random: Prng, settings: RaftSettings, inbox: Inbox) {
    this.#scheduler = scheduler;
    this.#random = random;
    this.#settings = settings;
    this.#inbox = inbox;
  }

  get isCut(): boolean {
    return this.#cuts.size > 0;
  }

  /** Whether anything is cut between this replica and anybody, either way. */
  isCutOff(id: number): boolean {
    if (this.#cuts.has(id)) return true;
    for (const senders of this.#cuts.values()) if (senders.has(id)) return true;
    return false;
  }

  /** From now on `to` does not hear `from`, until `mend` was called as often as this. */
  cut({ from, to }: Link): void {
    const senders = this.#cuts.get(to) ?? new Map<number, number>();
    senders.set(from, (senders.get(from) ?? 0) + 1);
    this.#cuts.set(to, senders);
  }

  mend({ from, to }: Link): void {
    const senders = this.#cuts.get(to);
    const cuts = senders?.get(from);
    if (senders === undefined || cuts === undefined) return;
    if (cuts > 1) senders.set(from, cuts - 1);
    else senders.delete(from);
    if (senders.size === 0) this.#cuts.delete(to);
  }

  heal(): void {
    this.#cuts.clear();
  }

  send(message: Message): void {
    const { lostOneIn, repeatedOneIn } = this.#settings;
    this.#remember(message);
    if (this.#isCutBetween(message)) {
      this.#lose(message);
      return;
    }
    if (this.#strikes(lostOneIn)) {
      this.#inbox.count('message lost');
      this.#lose(message);
      return;
    }
    this.#schedule(message);
    if (!this.#strikes(repeatedOneIn)) return;
    this.#inbox.count('message repeated');
    this.#schedule(message);
  }

  /** A message of any age comes once more; `to`: to one replica. */
  recall(to?: number): Message | undefined {
    const known =
      to === undefined ? this.#remembered : this.#remembered.filter((each) => each.to === to);
    if (known.length === 0) return undefined;
    const message = this.#random.pick(known);
    this.#schedule(message);
    return message;
  }

  #schedule(message: Message): void {
    const { delayMs, lateMs, lateOneIn } = this.#settings;
    const spreadUs = 1_000 * (this.#strikes(lateOneIn) ? lateMs : delayMs);
    const delayUs = 200 + this.#random.below(spreadUs);
    const link = message.from * 4_096 + message.to;
    const arrivalUs = this.#scheduler.nowUs + delayUs;
    const last = this.#arrivals.get(link) ?? 0;
    if (arrivalUs < last) this.#inbox.count('message overtaken');
    else this.#arrivals.set(link, arrivalUs);
    this.#scheduler.after(delayUs, () => this.#arrive(message));
  }

  #arrive(message: Message): void {
    const heard = !this.#isCutBetween(message) && this.#inbox.deliver(message);
    if (!heard) this.#lose(message);
    else if (message.kind === MessageKind.snapshot) this.#report(message, true);
  }

  #lose(message: Message): void {
    if (message.kind !== MessageKind.snapshot) return;
    this.#inbox.count('a snapshot lost on its way');
    this.#report(message, false);
  }

  #report({ from, to }: Message, arrived: boolean): void {
    this.#scheduler.after(snapshotReportMs * 1_000, () =>
      this.#inbox.snapshotFate(from, to, arrived),
    );
  }

  #isCutBetween({ from, to }: Message): boolean {
    return this.#cuts.get(to)?.has(from) === true;
  }

  #strikes(oneIn: number): boolean {
    return this.#random.below(oneIn) === 0 && !this.faultless;
  }

  #remember(message: Message): void {
    if (this.#remembered.length < rememberedMax) this.#remembered.push(message);
    else this.#remembered[this.#random.below(rememberedMax)] = message;
  }
}
