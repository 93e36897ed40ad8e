/**
 * `tuplet/testing`: a real node within the test's own process, on a disk in memory and a free port of
 * loopback, whose time stands still until the test moves it.
 *
 * ```ts
 * import { startTestNode } from 'tuplet/testing';
 *
 * const node = await startTestNode();
 * const client = await connect(node.url);
 * // …
 * await node.advance(10_000); // leases of ten seconds are over
 * await node.close();
 * ```
 */
import { DeadlineHeap } from './base/deadline-heap.ts';
import type { Cancel, Clock } from './base/doors.ts';
import { MemoryDisk } from './host/memory-disk.ts';
import { type NodeOptions, startNode } from './node.ts';

/** What a test node is started with. */
export interface TestNodeOptions
  extends Pick<NodeOptions, 'partitions' | 'logger' | 'gatewayLimits' | 'routerLimits'> {
  /** The disk of a test node that was closed, to start again with what it held. */
  readonly disk?: MemoryDisk;
}

/** A node within the test's process. */
export interface TestNode extends AsyncDisposable {
  /** Where it listens: `127.0.0.1:port`. */
  readonly address: string;
  /** The same for `connect`: `tuplet://127.0.0.1:port`. */
  readonly url: string;
  /** What it keeps; give it to another `startTestNode` after `close`. */
  readonly disk: MemoryDisk;
  /**
   * Moves the node's time on. Leases, waits and expiry follow it; deadlines of gRPC are those of the
   * caller's own clock. Resolves when what fell due has been done.
   */
  advance(ms: number): Promise<void>;
  /** Ends the node. */
  close(): Promise<void>;
}

/** Starts one. */
export async function startTestNode(options: TestNodeOptions = {}): Promise<TestNode> {
  const { disk = new MemoryDisk(), ...rest } = options;
  const clock = new HandClock();
  const node = await startNode({
    partitions: 16,
    ...rest,
    disk,
    clock,
    listen: '127.0.0.1:0',
    segmentBytes: testSegmentBytes,
    onFatal: (error) => {
      throw error;
    },
  });
  const close = (): Promise<void> => node.close();
  return {
    address: node.address,
    url: `tuplet://${node.address}`,
    disk,
    advance: (ms) => clock.advance(ms),
    close,
    [Symbol.asyncDispose]: close,
  };
}

/** Bytes of a segment: two of the largest entries, and little to prepare. */
const testSegmentBytes = 8_388_608;
/** Milliseconds that time moves at once: sessions are kept alive between, as in real time. */
const stepMs = 20;
/** Turns of the event loop after each step, for messages and the disk. */
const turnsAStep = 4;

/** A clock that stands until it is moved. The event loop itself goes on. */
class HandClock implements Clock {
  readonly #timers: Map<number, () => void> = new Map();
  readonly #deadlines: DeadlineHeap = new DeadlineHeap();
  #nowMs = 0;
  #nextTimer = 1;

  monotonicMs(): number {
    return this.#nowMs;
  }

  wallMs(): number {
    return wallMsAtStart + this.#nowMs;
  }

  after(delayMs: number, run: () => void): Cancel {
    const timer = this.#nextTimer;
    this.#nextTimer += 1;
    this.#timers.set(timer, run);
    this.#deadlines.set(timer, this.#nowMs + delayMs);
    return () => {
      this.#timers.delete(timer);
      this.#deadlines.delete(timer);
    };
  }

  soon(run: () => void): void {
    setImmediate(run);
  }

  async advance(ms: number): Promise<void> {
    const endMs = this.#nowMs + ms;
    while (this.#nowMs < endMs) {
      this.#nowMs = Math.min(endMs, this.#nowMs + stepMs);
      this.#runDue();
      for (let turn = 0; turn < turnsAStep; turn += 1) await nextTurn();
    }
  }

  #runDue(): void {
    for (;;) {
      const timer = this.#deadlines.takeDue(this.#nowMs);
      if (timer === undefined) return;
      const run = this.#timers.get(timer);
      this.#timers.delete(timer);
      run?.();
    }
  }
}

/** 2026-01-01 UTC. */
const wallMsAtStart = 1_767_225_600_000;

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
