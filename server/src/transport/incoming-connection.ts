/** The listening side of a connection between two nodes. */
import { status } from '@grpc/grpc-js';
import type { NodeId } from '../base/ids.ts';
import type { IncomingCall } from './incoming-call.ts';
import { IncomingSnapshot, type TakeSnapshot } from './incoming-snapshot.ts';
import { type Lane, lanes, snapshotLane } from './lane.ts';
import { type Hello, readFrames } from './peer-codec.ts';
import { type Refusal, refusalOfError } from './refusal.ts';

/** What the owner of a connection hears. */
export interface IncomingPorts {
  frame(lane: Lane, bytes: Uint8Array): void;
  readonly snapshot: TakeSnapshot;
  /** It is over. Once; nothing follows, and nothing after `close`. */
  down(message: string): void;
}

/** A connection that a peer has dialled: what it has to say comes over it. */
export class IncomingConnection {
  readonly node: NodeId;
  readonly life: number;
  readonly #cut: () => void;
  readonly #calls: Map<Lane, IncomingCall> = new Map();
  /** What came before `open`: of each lane one message at most, as nothing more is read. */
  #held: (() => void)[] = [];
  #ports: IncomingPorts | undefined;
  #isOpen = false;
  #hasHeard = true;
  #isOver = false;

  /** `cut` closes what the streams run over. */
  constructor({ from, life }: Hello, cut: () => void) {
    this.node = from;
    this.life = life;
    this.#cut = cut;
  }

  /** Adds the stream of a hello that was accepted. Undefined: it has its place. */
  add(call: IncomingCall, { from, life, lane }: Hello): Refusal | undefined {
    const belongs = from === this.node && life === this.life;
    if (!belongs || lane === snapshotLane || this.#calls.has(lane)) {
      return { reason: 'MALFORMED', message: 'the streams of one connection do not agree' };
    }
    this.#calls.set(lane, call);
    const over = (): void => this.#gone('the connection is gone');
    call.handTo({ message: (bytes) => this.#message(call, lane, bytes), ended: over, gone: over });
    return undefined;
  }

  /** Whether all lanes are there. */
  get isWhole(): boolean {
    return this.#calls.size === lanes.length;
  }

  /** Adds a snapshot, which waits until the connection is open. */
  addSnapshot(call: IncomingCall, header: Uint8Array): void {
    const snapshot = new IncomingSnapshot(call);
    this.#whenOpen(() => {
      if (this.#ports !== undefined) void snapshot.run(header, this.#ports.snapshot);
    });
  }

  /** Whoever hears of it from now on. */
  own(ports: IncomingPorts): void {
    this.#ports = ports;
  }

  /** Gives out what came, and what comes. */
  open(): void {
    this.#isOpen = true;
    const held = this.#held;
    this.#held = [];
    for (const run of held) if (!this.#isOver) run();
  }

  /** Whether anything came since the last time this was asked. */
  takeHeard(): boolean {
    const hasHeard = this.#hasHeard;
    this.#hasHeard = false;
    return hasHeard;
  }

  /** Ends it; what was not given out is lost. */
  close(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#held = [];
    for (const call of this.#calls.values()) call.end(status.UNAVAILABLE, 'the link is over');
    this.#cut();
  }

  /** The network has ended it, or the peer. */
  #gone(message: string): void {
    if (this.#isOver) return;
    this.close();
    this.#ports?.down(message);
  }

  #message(call: IncomingCall, lane: Lane, bytes: Buffer): void {
    this.#hasHeard = true;
    let frames: readonly Uint8Array[];
    try {
      frames = readFrames(bytes);
    } catch (error) {
      this.#gone(refusalOfError(error).message);
      return;
    }
    if (frames.length === 0) call.read();
    else this.#whenOpen(() => this.#deliver(call, lane, frames));
  }

  #deliver(call: IncomingCall, lane: Lane, frames: readonly Uint8Array[]): void {
    for (const frame of frames) {
      // Whoever took the one before may have ended the connection.
      if (this.#isOver) return;
      this.#ports?.frame(lane, frame);
    }
    call.read();
  }

  #whenOpen(run: () => void): void {
    if (this.#isOpen) run();
    else this.#held.push(run);
  }
}
