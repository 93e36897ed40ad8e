import type { Cancel, Clock, Random } from '../base/doors.ts';
import type { NodeId } from '../base/ids.ts';
import {
  linkBackOffMaxMs,
  linkBackOffMs,
  linkDialMs,
  linkRefusedMs,
  linkSilentTicks,
  linkStableMs,
  linkTickMs,
} from '../base/limits.ts';
import type { IncomingConnection } from './incoming-connection.ts';
import type { Lane, LaneRules } from './lane.ts';
import { OutgoingSnapshots, type SnapshotEnd, type SnapshotSource } from './outgoing-snapshot.ts';
import { type DialEnd, Dialled } from './peer-client.ts';
import type { Welcome } from './peer-codec.ts';
import type { PeerCredentials } from './peer-credentials.ts';
import { type Refusal, refusalOfWelcome, type Self } from './refusal.ts';

/** What a link needs of its node. */
export interface LinkPorts {
  readonly clock: Clock;
  readonly random: Random;
  readonly credentials: PeerCredentials;
  readonly rules: LaneRules;
  self(): Self;
  connected(peer: NodeId): void;
  broken(peer: NodeId, message: string): void;
  frame(peer: NodeId, lane: Lane, bytes: Uint8Array): void;
  snapshot(peer: NodeId, header: Uint8Array, chunks: AsyncIterable<Uint8Array>): Promise<void>;
  /** The peer does not speak to this node, or is not the one that was meant. */
  refused(peer: NodeId, refusal: Refusal): void;
}

/** How a link is; for operators and metrics. */
export interface LinkState {
  readonly node: NodeId;
  readonly address: string;
  readonly isConnected: boolean;
  /** Bytes of frames that wait for it. */
  readonly bytes: number;
  /** Frames that found no place, since the node started. */
  readonly dropped: number;
  /** Why it was last broken, or could not be made. */
  readonly failure: string | undefined;
}

/** The two connections to one peer. LINKS.md says when they are a link. */
export class PeerLink {
  readonly node: NodeId;
  readonly #ports: LinkPorts;
  #address: string;
  #out: Dialled | undefined;
  /** What `#out` was welcomed with. */
  #welcome: Welcome | undefined;
  #in: IncomingConnection | undefined;
  // Invariant: while it is set, `#out` is welcomed, `#in` is there, and both have the peer's same life.
  #snapshots: OutgoingSnapshots | undefined;
  #cancelDial: Cancel | undefined;
  #dialTicks = 0;
  #silentTicks = 0;
  #failures = 0;
  #connectedAtMs = 0;
  #dropped = 0;
  #failure: string | undefined;
  #refusal: Refusal | undefined;
  #isOver = false;

  constructor(node: NodeId, address: string, ports: LinkPorts) {
    this.node = node;
    this.#address = address;
    this.#ports = ports;
    this.#dial();
  }

  get isConnected(): boolean {
    return this.#snapshots !== undefined;
  }

  /** The peer's life while it is connected. */
  get life(): number | undefined {
    return this.isConnected ? this.#welcome?.life : undefined;
  }

  get state(): LinkState {
    return {
      node: this.node,
      address: this.#address,
      isConnected: this.isConnected,
      bytes: this.#out?.bytes ?? 0,
      dropped: this.#dropped + (this.#out?.dropped ?? 0),
      failure: this.#failure,
    };
  }

  /** The peer is elsewhere now; a link that stands goes on. */
  moveTo(address: string): void {
    if (address === this.#address) return;
    this.#address = address;
    if (this.isConnected) return;
    this.#dropOut();
    this.#failures = 0;
    this.#dial();
  }

  /** Queues a frame. False: there is no link, or none any more. */
  send(lane: Lane, frame: Uint8Array): boolean {
    if (this.#out === undefined || !this.isConnected) return false;
    if (this.#out.push(lane, frame)) return true;
    this.break('more waits for the peer than may');
    return false;
  }

  /** Breaks it, where it stands. Who does so is in the middle of something, and hears of it afterwards. */
  break(message: string): void {
    if (!this.isConnected) return;
    this.#fall(message);
    this.#ports.clock.soon(() => this.#ports.broken(this.node, message));
  }

  /** Writes what is queued. */
  flush(): void {
    if (this.isConnected) this.#out?.flush();
  }

  sendSnapshot(source: SnapshotSource, signal: AbortSignal | undefined): Promise<SnapshotEnd> {
    return this.#snapshots?.send(source, signal) ?? Promise.resolve('lost');
  }

  /** The peer has dialled. */
  accept(incoming: IncomingConnection): void {
    if (this.#in !== undefined) this.#lose('the peer has dialled again');
    // Whoever heard of it may have ended this.
    if (this.#isOver) {
      incoming.close();
      return;
    }
    this.#in = incoming;
    this.#silentTicks = 0;
    incoming.own({
      frame: (lane, bytes) => this.#ports.frame(this.node, lane, bytes),
      snapshot: (header, chunks) => this.#ports.snapshot(this.node, header, chunks),
      down: (message) => {
        if (this.#in === incoming) this.#lose(message);
      },
    });
    // The own connection may still lead to an earlier life.
    if (this.#welcome !== undefined && this.#welcome.life !== incoming.life) this.#dropOut();
    // It is there: back-off ends.
    if (this.#out === undefined) this.#dial();
    this.#settle();
  }

  /** Once each `linkTickMs`. */
  tick(): void {
    if (this.#welcome !== undefined) this.#out?.beat();
    else if (this.#out !== undefined) {
      this.#dialTicks += 1;
      if (this.#dialTicks * linkTickMs > linkDialMs) {
        this.#dropOut();
        this.#dialFailed({ message: `no connection within ${linkDialMs} ms` });
      }
    }
    if (this.#in === undefined) return;
    this.#silentTicks = this.#in.takeHeard() ? 0 : this.#silentTicks + 1;
    if (this.#silentTicks < linkSilentTicks) return;
    this.#lose(`the peer was silent for ${linkSilentTicks * linkTickMs} ms`);
  }

  /** Ends it, without a word to its owner. */
  close(): void {
    this.#isOver = true;
    this.#cancelDial?.();
    this.#fall('the link was closed');
  }

  #dial(): void {
    this.#cancelDial?.();
    this.#cancelDial = undefined;
    this.#dialTicks = 0;
    const { credentials, rules } = this.#ports;
    const self = this.#ports.self();
    const hello = { cluster: self.cluster, from: self.node, to: this.node, life: self.life };
    const dialled = new Dialled(
      { address: this.#address, credentials, hello, rules },
      {
        up: (welcome) => {
          if (this.#out === dialled) this.#welcomed(welcome);
        },
        down: (end) => {
          if (this.#out === dialled) this.#outEnded(end);
        },
      },
    );
    this.#out = dialled;
  }

  #welcomed(welcome: Welcome): void {
    const refusal = refusalOfWelcome(welcome, this.node, this.#ports.self());
    if (refusal !== undefined) {
      this.#dropOut();
      this.#dialFailed({ message: refusal.message, refusal });
      return;
    }
    this.#refusal = undefined;
    this.#welcome = welcome;
    // What came in from an earlier life is over, which may not have been seen yet.
    if (this.#in !== undefined && this.#in.life !== welcome.life) this.#dropIn();
    this.#settle();
  }

  /** Says that the link is up where it now is. */
  #settle(): void {
    const { clock } = this.#ports;
    if (this.#out === undefined || this.#welcome === undefined || this.#in === undefined) return;
    this.#snapshots = new OutgoingSnapshots(this.#out);
    this.#connectedAtMs = clock.monotonicMs();
    this.#failure = undefined;
    this.#ports.connected(this.node);
    // What the peer said meanwhile.
    this.#in?.open();
  }

  #outEnded(end: DialEnd): void {
    if (this.isConnected) this.#lose(end.message);
    else {
      this.#dropOut();
      this.#dialFailed(end);
    }
  }

  #dialFailed({ message, refusal }: DialEnd): void {
    this.#failure = message;
    if (refusal === undefined) {
      this.#failures += 1;
      this.#dialLater(this.#backOffMs());
      return;
    }
    this.#dialLater(this.#jittered(2 * linkRefusedMs));
    // Once, however often it is tried.
    if (this.#refusal?.message === refusal.message) return;
    this.#refusal = refusal;
    this.#ports.refused(this.node, refusal);
  }

  /** What came in is over; with it the link, where it stood. */
  #lose(message: string): void {
    if (!this.isConnected) {
      this.#dropIn();
      return;
    }
    this.#fall(message);
    this.#ports.broken(this.node, message);
  }

  /** Tears both connections down, and dials again in a while. */
  #fall(message: string): void {
    if (this.isConnected) {
      const stoodMs = this.#ports.clock.monotonicMs() - this.#connectedAtMs;
      this.#failures = stoodMs < linkStableMs ? this.#failures + 1 : 1;
      this.#failure = message;
    }
    const snapshots = this.#snapshots;
    this.#snapshots = undefined;
    this.#dropOut();
    this.#dropIn();
    snapshots?.close();
    if (!this.#isOver) this.#dialLater(this.#backOffMs());
  }

  #dropOut(): void {
    const out = this.#out;
    this.#out = undefined;
    this.#welcome = undefined;
    this.#dropped += out?.dropped ?? 0;
    out?.close();
  }

  #dropIn(): void {
    const incoming = this.#in;
    this.#in = undefined;
    incoming?.close();
  }

  #dialLater(delayMs: number): void {
    this.#cancelDial?.();
    this.#cancelDial = this.#ports.clock.after(delayMs, () => this.#dial());
  }

  #backOffMs(): number {
    const doublings = Math.min(this.#failures - 1, 16);
    return this.#jittered(Math.min(linkBackOffMaxMs, linkBackOffMs * 2 ** doublings));
  }

  /** Half to whole of it, so that nodes do not come back in step. */
  #jittered(fullMs: number): number {
    return fullMs * (0.5 + this.#ports.random.uint32() / 2 ** 33);
  }
}
