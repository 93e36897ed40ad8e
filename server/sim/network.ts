/**
 * The Net door of simulated processes. A link carries messages in order until it breaks, as TCP
 * does; between links nothing holds: what was sent on a link that is closing may arrive after what
 * was sent on the next. A break loses what is under way from some point on, and each end hears of
 * it at a time of its own.
 */
import { assert } from '../src/base/assert.ts';
import type { Cancel, Link, LinkEvents, Net } from '../src/base/doors.ts';
import type { Prng } from '../src/base/prng.ts';
import type { Scheduler, SimProcess } from './scheduler.ts';
import type { Trace } from './trace.ts';

/** How the network behaves. Times in microseconds. */
export interface NetworkOptions {
  readonly delayUsMin: number;
  readonly delayUsMax: number;
  /** One message in so many is late by up to `lateUsMax`; 0: none. */
  readonly lateOneIn: number;
  readonly lateUsMax: number;
  /** Bytes under way on one side of a link before its sender is told to wait. */
  readonly windowBytes: number;
}

interface Listener {
  readonly process: SimProcess;
  readonly accept: (link: Link, from: string) => LinkEvents;
}

/** What the network did, for the table of a run. */
export interface NetworkCounts {
  connected: number;
  refused: number;
  sent: number;
  delivered: number;
  lost: number;
  broken: number;
  stalled: number;
}

/** One direction's sender: the Link that its process holds. */
class Side implements Link {
  readonly owner: SimProcess;
  readonly #network: SimNetwork;
  readonly #label: string;
  peer: Side | undefined;
  /** What the owner of this side hears. */
  events: LinkEvents | undefined;
  /** No message of this side arrives before this time: order, and stalls. */
  arrivalUs = 0;
  /** Invariant: bytes sent by this side and not yet heard by the peer. */
  underWayBytes = 0;
  #told = false;
  #sendClosed = false;
  #heardClosed = false;

  constructor(network: SimNetwork, owner: SimProcess, label: string) {
    this.#network = network;
    this.owner = owner;
    this.#label = label;
  }

  send(message: Uint8Array): boolean {
    const peer = this.peer;
    if (this.#sendClosed || peer === undefined) return true;
    const network = this.#network;
    const bytes = message.slice();
    this.underWayBytes += bytes.length;
    network.counts.sent++;
    network.onSend?.(this.owner);
    network.deliverAfter(this, () => {
      this.underWayBytes -= bytes.length;
      if (peer.#heardClosed) return;
      network.counts.delivered++;
      network.trace.bytes(this.#label, bytes);
      peer.events?.message(bytes);
      this.#drain();
    });
    if (this.underWayBytes <= network.options.windowBytes) return true;
    this.#told = true;
    return false;
  }

  close(): void {
    if (this.#sendClosed) return;
    this.#sendClosed = true;
    this.#heardClosed = true;
    this.#network.forget(this);
    const peer = this.peer;
    if (peer !== undefined) this.#network.deliverAfter(this, () => peer.hearClosed());
  }

  /** The link is gone for this side's owner. */
  hearClosed(): void {
    if (this.#heardClosed) return;
    this.#heardClosed = true;
    this.#sendClosed = true;
    this.#network.forget(this);
    this.#network.trace.note(`closed ${this.#label}`);
    this.events?.closed();
  }

  /** Messages still under way to this side are lost; it hears `closed` later. */
  stopHearing(): void {
    const events = this.events;
    this.events = {
      message: () => {
        this.#network.counts.lost++;
      },
      drained: () => events?.drained(),
      closed: () => events?.closed(),
    };
  }

  #drain(): void {
    if (!this.#told || this.underWayBytes > this.#network.options.windowBytes / 2) return;
    this.#told = false;
    this.#network.scheduler.after(1, () => this.events?.drained(), this.owner);
  }
}

/** All links of a run. */
export class SimNetwork {
  readonly scheduler: Scheduler;
  readonly options: NetworkOptions;
  readonly trace: Trace;
  readonly counts: NetworkCounts = {
    connected: 0,
    refused: 0,
    sent: 0,
    delivered: 0,
    lost: 0,
    broken: 0,
    stalled: 0,
  };
  /** Told of each message as it is sent. */
  onSend: ((from: SimProcess) => void) | undefined;
  readonly #random: Prng;
  readonly #listeners = new Map<string, Listener>();
  /** Sides that have not heard of their end, in order of opening. */
  readonly #sides: Side[] = [];
  #links = 0;

  constructor(scheduler: Scheduler, random: Prng, options: NetworkOptions, trace: Trace) {
    this.scheduler = scheduler;
    this.#random = random;
    this.options = options;
    this.trace = trace;
  }

  /** The door of one process. */
  netOf(process: SimProcess): Net {
    return {
      listen: (address, accept) => this.#listen(process, address, accept),
      connect: (address, events) => this.#connect(process, address, events),
    };
  }

  /** Breaks one of the open links that `process` has an end of; false where there is none. */
  breakOne(process: SimProcess): boolean {
    const ends = this.#sides.filter((side) => side.owner === process);
    if (ends.length === 0) return false;
    this.#break(this.#random.pick(ends));
    return true;
  }

  /** Nothing of one direction of a link of `process` arrives for `forMs`; false where there is no link. */
  stallOne(process: SimProcess, forMs: number): boolean {
    const ends = this.#sides.filter((side) => side.owner === process);
    if (ends.length === 0) return false;
    const side = this.#random.pick(ends);
    const direction = this.#random.chance(1, 2) ? side : (side.peer ?? side);
    direction.arrivalUs = Math.max(direction.arrivalUs, this.scheduler.nowUs + forMs * 1000);
    this.counts.stalled++;
    return true;
  }

  /** The kernel of a killed process closes what it had open: what it sent may arrive, then the end. */
  processGone(process: SimProcess): void {
    assert(!process.alive, 'the process is gone');
    for (const [address, listener] of this.#listeners) {
      if (listener.process === process) this.#listeners.delete(address);
    }
    for (const side of this.#sides.filter((each) => each.owner === process)) side.close();
  }

  /** Runs `arrive` in the process of the side's peer, after everything the side sent before. */
  deliverAfter(side: Side, arrive: () => void): void {
    const peer = side.peer;
    assert(peer !== undefined, 'a link has two sides');
    const arrivalUs = Math.max(side.arrivalUs, this.scheduler.nowUs + this.#delayUs());
    // One microsecond apart, so that the ties of an instant cannot swap two messages of a link.
    side.arrivalUs = arrivalUs + 1;
    this.scheduler.after(arrivalUs - this.scheduler.nowUs, arrive, peer.owner);
  }

  /** The side has closed or heard of its end. */
  forget(side: Side): void {
    const at = this.#sides.indexOf(side);
    if (at >= 0) this.#sides.splice(at, 1);
  }

  #listen(process: SimProcess, address: string, accept: Listener['accept']): Cancel {
    assert(!this.#listeners.has(address), 'an address has one listener');
    const listener = { process, accept };
    this.#listeners.set(address, listener);
    return () => {
      if (this.#listeners.get(address) === listener) this.#listeners.delete(address);
    };
  }

  #connect(process: SimProcess, address: string, events: LinkEvents): Link {
    const link = ++this.#links;
    const near = new Side(this, process, `${process.name}#${link}>`);
    near.events = events;
    const listener = this.#listeners.get(address);
    if (listener === undefined) {
      this.counts.refused++;
      this.scheduler.after(this.#delayUs() + this.#delayUs(), () => near.hearClosed(), process);
      return near;
    }
    const far = new Side(this, listener.process, `${address}#${link}>${process.name}`);
    near.peer = far;
    far.peer = near;
    this.#sides.push(near, far);
    this.counts.connected++;
    this.deliverAfter(near, () => {
      far.events = listener.accept(far, process.name);
    });
    return near;
  }

  #break(side: Side): void {
    const other = side.peer;
    assert(other !== undefined, 'an open link has two sides');
    this.counts.broken++;
    this.trace.note(`break ${side.owner.name}-${other.owner.name}`);
    for (const end of [side, other]) {
      // Each direction loses what is under way, or lets it arrive, by itself.
      if (this.#random.chance(3, 4)) end.stopHearing();
      const hearsAfterUs = this.#random.chance(1, 4)
        ? this.#random.between(1000, 2_000_000)
        : this.#delayUs();
      this.scheduler.after(hearsAfterUs, () => end.hearClosed(), end.owner);
    }
  }

  #delayUs(): number {
    const { delayUsMin, delayUsMax, lateOneIn, lateUsMax } = this.options;
    const delay = this.#random.between(delayUsMin, delayUsMax);
    if (lateOneIn === 0 || !this.#random.chance(1, lateOneIn)) return delay;
    return delay + this.#random.between(1, lateUsMax);
  }
}
