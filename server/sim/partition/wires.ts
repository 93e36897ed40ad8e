/**
 * What goes between the nodes of a simulated cluster. Raft's messages may be lost, repeated, delayed and
 * reordered; those of routers and leaders are carried by links, which delay, and hold what cannot pass
 * while the network is split.
 */
import type { GroupId, NodeId } from '../../src/base/ids.ts';
import type { Prng } from '../../src/base/prng.ts';
import { type Message, MessageKind } from '../../src/raft/message.ts';
import { PayloadMemory } from '../../src/transport/payload-memory.ts';
import { RaftBatchWriter, readRaftBatch } from '../../src/transport/raft-codec.ts';
import type { Scheduler, SimProcess } from '../scheduler.ts';

/** How the network between nodes behaves; one message in so many, 0: none. */
export interface WireOptions {
  readonly delayUsMin: number;
  readonly delayUsMax: number;
  readonly lateOneIn: number;
  readonly lateUsMax: number;
  readonly lostOneIn: number;
  readonly twiceOneIn: number;
  /** Messages that come again much later, as those of an earlier life do. */
  readonly ghostOneIn: number;
}

/** A node as the wires know it. */
export interface WireEnd {
  readonly id: number;
  readonly process: SimProcess;
}

/** Told of what the network does. */
export type WireFault = (
  name: 'raft message lost' | 'raft message repeated' | 'raft message of an earlier life',
) => void;

/** See the top of the file. */
export class Wires {
  readonly #scheduler: Scheduler;
  readonly #random: Prng;
  readonly #options: WireOptions;
  readonly #fault: WireFault;
  /** `from>to`, with the time at which it heals, in µs. */
  readonly #cuts = new Map<string, number>();
  readonly #memory = new PayloadMemory();
  #isCalm = false;

  constructor(options: {
    scheduler: Scheduler;
    random: Prng;
    wires: WireOptions;
    fault: WireFault;
  }) {
    this.#scheduler = options.scheduler;
    this.#random = options.random;
    this.#options = options.wires;
    this.#fault = options.fault;
  }

  /** Nothing of one direction passes for a while. */
  cut(from: number, to: number, forMs: number): void {
    const untilUs = this.#scheduler.nowUs + forMs * 1000;
    const key = `${from}>${to}`;
    this.#cuts.set(key, Math.max(untilUs, this.#cuts.get(key) ?? 0));
  }

  /** Whether anything is cut now. */
  get isCut(): boolean {
    for (const untilUs of this.#cuts.values()) if (untilUs > this.#scheduler.nowUs) return true;
    return false;
  }

  /** Whether anything is cut between two nodes now. */
  isCutBetween(one: number, other: number): boolean {
    const { nowUs } = this.#scheduler;
    return this.healsAtUs(one, other) > nowUs || this.healsAtUs(other, one) > nowUs;
  }

  /** From now on nothing is lost, and all cuts are healed. */
  calm(): void {
    this.#isCalm = true;
    this.#cuts.clear();
  }

  /** A message of Raft's: `arrive` gets a copy of it, in a life of the receiver that may be a later one. */
  raft(
    ends: { from: WireEnd; to: WireEnd; group: GroupId },
    message: Message,
    arrive: (message: Message) => void,
  ): void {
    const { twiceOneIn, ghostOneIn } = this.#options;
    const { from, to, group } = ends;
    if (this.healsAtUs(from.id, to.id) > this.#scheduler.nowUs) return;
    if (this.loses()) return;
    const writer = new RaftBatchWriter(from.id as NodeId, to.id as NodeId);
    writer.add(group, message);
    const bytes = writer.finish();
    const deliver = (): void => {
      if (!to.process.alive) return;
      const [one] = readRaftBatch(bytes, this.#memory).messages;
      if (one !== undefined) arrive(one.message);
    };
    this.#later(this.delayUs(), to, deliver);
    if (this.#chance(twiceOneIn)) {
      this.#fault('raft message repeated');
      this.#later(this.delayUs() + this.#random.between(1, 200_000), to, deliver);
    }
    if (message.kind !== MessageKind.snapshot && this.#chance(ghostOneIn)) {
      this.#fault('raft message of an earlier life');
      this.#later(this.#random.between(200_000, 8_000_000), to, deliver);
    }
  }

  /**
   * A message on a link: in time, late, or when the network is whole again; lost if the receiver dies before.
   * `laterUs`: how much later than the others it comes in any case.
   */
  link(from: WireEnd, to: WireEnd, arrive: () => void, laterUs = 0): void {
    const life = to.process;
    const heldUs = Math.max(0, this.healsAtUs(from.id, to.id) - this.#scheduler.nowUs);
    const delayUs = from.id === to.id ? 1 : this.delayUs();
    this.#scheduler.after(heldUs + delayUs + laterUs, arrive, life);
  }

  /** What a node learns by itself, after a while, in this life. */
  hear(at: WireEnd, delayUs: number, run: () => void): void {
    this.#scheduler.after(delayUs, run, at.process);
  }

  /** Runs in whatever life the receiver has then; a pause holds it up. */
  #later(delayUs: number, to: WireEnd, run: () => void): void {
    this.#scheduler.after(delayUs, () => {
      if (to.process.alive) to.process.after(0, run);
    });
  }

  /** When what one node says reaches another again; long ago where nothing is cut. */
  healsAtUs(from: number, to: number): number {
    return this.#cuts.get(`${from}>${to}`) ?? 0;
  }

  /** Whether a message of Raft's gets lost. */
  loses(): boolean {
    const isLost = this.#chance(this.#options.lostOneIn);
    if (isLost) this.#fault('raft message lost');
    return isLost;
  }

  #chance(oneIn: number): boolean {
    return !this.#isCalm && oneIn > 0 && this.#random.chance(1, oneIn);
  }

  /** How long a message is on its way. */
  delayUs(): number {
    const { delayUsMin, delayUsMax, lateOneIn, lateUsMax } = this.#options;
    const delayUs = this.#random.between(delayUsMin, delayUsMax);
    return this.#chance(lateOneIn) ? delayUs + this.#random.between(1, lateUsMax) : delayUs;
  }
}
