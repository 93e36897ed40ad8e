/** Nodes with links between them over real sockets, and a network between them that fails; for tests. */
import { connect, createServer, type Server, type Socket } from 'node:net';
import type { Cancel, Clock } from '../../src/base/doors.ts';
import type { NodeId } from '../../src/base/ids.ts';
import { linkTickMs } from '../../src/base/limits.ts';
import { Prng } from '../../src/base/prng.ts';
import { hostClock } from '../../src/host/clock.ts';
import { hostSockets } from '../../src/host/socket-door.ts';
import type { Lane, LaneRules } from '../../src/transport/lane.ts';
import { Links, type LinksOptions } from '../../src/transport/links.ts';
import type { PeerCredentials } from '../../src/transport/peer-credentials.ts';
import type { RefusalReason } from '../../src/transport/refusal.ts';

/** A test's node id. */
export function nodeId(number: number): NodeId {
  return number as NodeId;
}

/** How a test's node differs from others. */
export interface TestNodeOptions {
  readonly node: number;
  readonly cluster?: string;
  readonly life?: number;
  readonly port?: number;
  readonly credentials?: PeerCredentials;
  readonly rules?: Partial<LaneRules>;
  readonly onSnapshot?: LinksOptions['onSnapshot'];
  /** Runs before the event is noted. */
  readonly onFrame?: (lane: Lane, bytes: Uint8Array) => void;
}

/** A frame that came. */
export interface ReceivedFrame {
  readonly peer: NodeId;
  readonly lane: Lane;
  readonly bytes: Uint8Array;
}

/** A node's links, and what they said. */
export class TestNode {
  readonly node: NodeId;
  /** `connected 2`, `broken 2`, `frame 2`, `refused 2 CLUSTER`, `refusing 2 CLUSTER`. */
  readonly events: string[] = [];
  readonly frames: ReceivedFrame[] = [];
  /** Milliseconds of each timer that the links have set. */
  readonly delaysMs: number[] = [];
  readonly #timers: Set<Cancel> = new Set();
  #links: Links | undefined;
  #waiting: { readonly holds: () => boolean; readonly resolve: () => void }[] = [];

  private constructor(node: number) {
    this.node = nodeId(node);
  }

  static async open(options: TestNodeOptions): Promise<TestNode> {
    const { node, cluster = 'c1', life = 1, port = 0, onFrame } = options;
    const test = new TestNode(node);
    test.#links = await Links.open({
      self: { node: test.node, cluster, life },
      listen: { host: '127.0.0.1', port },
      sockets: hostSockets,
      credentials: options.credentials ?? { kind: 'insecure' },
      clock: test.#clock(),
      random: new Prng(node),
      ...(options.rules === undefined ? {} : { rules: options.rules }),
      onFrame: (peer, lane, bytes) => {
        onFrame?.(lane, bytes);
        test.frames.push({ peer, lane, bytes });
        test.#note(`frame ${peer}`);
      },
      onSnapshot: options.onSnapshot ?? (() => Promise.reject(new Error('not wanted'))),
      onConnected: (peer) => test.#note(`connected ${peer}`),
      onBroken: (peer) => test.#note(`broken ${peer}`),
      onRefused: (peer, { reason }) => test.#note(`refused ${peer} ${reason}`),
      onRefusing: (caller, { reason }) => test.#note(`refusing ${caller} ${reason}`),
    });
    return test;
  }

  get links(): Links {
    if (this.#links === undefined) throw new Error('the links are not open');
    return this.#links;
  }

  get address(): string {
    return `127.0.0.1:${this.links.port}`;
  }

  /** Names other nodes: directly, or by an address in front of them. */
  know(...others: readonly (TestNode | readonly [TestNode, string])[]): void {
    const addresses = others.map((other) =>
      other instanceof TestNode
        ? ([other.node, other.address] as const)
        : ([other[0].node, other[1]] as const),
    );
    this.links.setAddresses(new Map(addresses));
  }

  /** Resolves when it holds, looked at after each event and timer. */
  until(holds: () => boolean): Promise<void> {
    if (holds()) return Promise.resolve();
    return new Promise((resolve) => void this.#waiting.push({ holds, resolve }));
  }

  /** Resolves when an event was noted so often. */
  heard(event: string, times = 1): Promise<void> {
    return this.until(() => this.count(event) >= times);
  }

  /** How often an event was noted. */
  count(event: string): number {
    return this.events.filter((each) => each === event).length;
  }

  /** Timers that its links have set and that neither ran nor were cancelled. */
  get timers(): number {
    return this.#timers.size;
  }

  /** Looks at its links that it has taken (`linkTickMs`). */
  get ticks(): number {
    return this.delaysMs.filter((ms) => ms === linkTickMs).length;
  }

  /** Refusals that it has heard of its own dials. */
  get refusals(): readonly RefusalReason[] {
    return this.events
      .filter((event) => event.startsWith('refused '))
      .map((event) => event.split(' ')[2] as RefusalReason);
  }

  /** Looks again whether what is waited for holds. */
  look(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const each of waiting) {
      if (each.holds()) each.resolve();
      else this.#waiting.push(each);
    }
  }

  #note(event: string): void {
    this.events.push(event);
    this.look();
  }

  #clock(): Clock {
    return {
      ...hostClock,
      after: (delayMs, run) => {
        this.delaysMs.push(delayMs);
        const cancel = hostClock.after(delayMs, () => {
          this.#timers.delete(cancel);
          run();
          this.look();
        });
        this.#timers.add(cancel);
        return () => {
          this.#timers.delete(cancel);
          cancel();
        };
      },
    };
  }
}

/** Two nodes that know each other, connected. */
export async function pair(
  one: Partial<TestNodeOptions> = {},
  other: Partial<TestNodeOptions> = {},
): Promise<[TestNode, TestNode]> {
  const a = await TestNode.open({ node: 1, ...one });
  const b = await TestNode.open({ node: 2, ...other });
  a.know(b);
  b.know(a);
  await Promise.all([a.heard('connected 2'), b.heard('connected 1')]);
  return [a, b];
}

/** The network in front of a node. */
export class TestWire {
  readonly #server: Server;
  readonly #pairs: Set<readonly [Socket, Socket]> = new Set();
  /** Where new connections lead; undefined: nowhere, so that they end. */
  target: TestNode | undefined;
  /** How fast it is, in each direction of each connection. */
  bytesPerMs: number = Number.POSITIVE_INFINITY;
  /** Connections so far. */
  accepted = 0;
  #isPaused = false;

  private constructor(target: TestNode | undefined) {
    this.target = target;
    this.#server = createServer((near) => {
      this.accepted += 1;
      if (this.target === undefined) {
        near.destroy();
        return;
      }
      const far = connect(this.target.links.port, '127.0.0.1');
      const both = [near, far] as const;
      this.#pairs.add(both);
      for (const [from, to] of [both, [far, near] as const]) {
        if (this.#isPaused) from.pause();
        from.on('data', (bytes) => {
          const goOn = (): void => {
            if (!this.#isPaused) from.resume();
          };
          from.pause();
          if (this.bytesPerMs < Number.POSITIVE_INFINITY) {
            hostClock.after(bytes.length / this.bytesPerMs, goOn);
            to.write(bytes);
          } else if (to.write(bytes)) goOn();
          else to.once('drain', goOn);
        });
        from.on('error', () => to.destroy());
        from.on('close', () => {
          to.destroy();
          this.#pairs.delete(both);
        });
      }
    });
  }

  static async before(target: TestNode | undefined): Promise<TestWire> {
    const wire = new TestWire(target);
    await new Promise<void>((resolve) => wire.#server.listen(0, '127.0.0.1', resolve));
    return wire;
  }

  get address(): string {
    const bound = this.#server.address();
    if (typeof bound !== 'object' || bound === null) throw new Error('the wire is not open');
    return `127.0.0.1:${bound.port}`;
  }

  /** Connections now. */
  get connections(): number {
    return this.#pairs.size;
  }

  /** Carries nothing, and says nothing. */
  pause(): void {
    this.#isPaused = true;
    for (const both of this.#pairs) for (const socket of both) socket.pause();
  }

  resume(): void {
    this.#isPaused = false;
    for (const both of this.#pairs) for (const socket of both) socket.resume();
  }

  /** Ends what it carries, as the death of a process does. */
  cut(): void {
    for (const both of this.#pairs) for (const socket of both) socket.destroy();
  }

  close(): void {
    this.cut();
    this.#server.close();
  }
}
