/** What is done to the nodes of a cluster in a round, besides killing them. */
import { setTimeout as pause } from 'node:timers/promises';
import type { Client } from '@tuplet/client';
import type { Prng } from '../src/base/prng.ts';
import type { ServerCluster } from '../test/cluster/server-cluster.ts';
import type { ServerProcess } from '../test/process/server-process.ts';
import { nowNs } from './journal.ts';
import type { Breakage } from './server.ts';

/** Milliseconds in which others lead what a node led, and clients have found them. */
const electionMs = 3_000;
/** Milliseconds that a node which was lost may stay away before others get its replicas. */
export const replaceAfterMs = 1_500;
/** Milliseconds that moving its replicas may take. */
const movedMsMax = 300_000;

/** What was done, by name; times of moves in milliseconds. */
export interface NodeFaultCounts {
  nodeStops: number;
  splits: number;
  slowDisks: number;
  fullDisks: number;
  clockJumps: number;
  nodesReplaced: number;
  nodesDrained: number;
}

/** Nothing yet. */
export function noNodeFaults(): NodeFaultCounts {
  return {
    nodeStops: 0,
    splits: 0,
    slowDisks: 0,
    fullDisks: 0,
    clockJumps: 0,
    nodesReplaced: 0,
    nodesDrained: 0,
  };
}

/** What they need of their round. */
export interface NodeFaultOptions {
  readonly servers: ServerCluster;
  readonly random: Prng;
  readonly client: Client;
  /** Waits between two faults; false where the round is over first. */
  readonly wait: (leastMs: number, mostMs: number, operations: number) => Promise<boolean>;
  readonly fault: (name: string, time: number, forMs: number) => void;
  readonly failed: (message: string) => void;
  /** Runs alone, of all that takes a node away for good or for a while. */
  readonly alone: (run: () => Promise<void>) => Promise<void>;
}

/** Everything at once, at times that the seed chooses. */
export class NodeFaults {
  readonly #options: NodeFaultOptions;
  readonly counts: NodeFaultCounts = noNodeFaults();

  constructor(options: NodeFaultOptions) {
    this.#options = options;
  }

  async run(): Promise<void> {
    await Promise.all([
      this.#stopNodes(),
      this.#split(),
      this.#breakDisks(),
      this.#jumpClocks(),
      this.#changeNodes(),
    ]);
  }

  /** SIGSTOP, shorter and longer than an election takes, and than sessions last. */
  async #stopNodes(): Promise<void> {
    const { wait, random, fault } = this.#options;
    while (await wait(1_500, 5_000, 150)) {
      const node = this.#pick();
      const forMs = random.between(50, random.pick([500, 2_500, 5_500]));
      if (!node.signal('SIGSTOP')) continue;
      this.counts.nodeStops += 1;
      fault('node paused', nowNs(), forMs + electionMs);
      await pause(forMs);
      node.signal('SIGCONT');
    }
  }

  /** A node and the others do not hear each other, or one way only. */
  async #split(): Promise<void> {
    const { wait, random, fault, servers } = this.#options;
    while (await wait(1_500, 5_000, 150)) {
      const forMs = random.between(100, random.pick([900, 3_000]));
      const isOneWay = random.chance(1, 3);
      const heal = servers.cut(random.below(servers.foundersLeft), isOneWay);
      if (heal === undefined) continue;
      this.counts.splits += 1;
      fault('network split', nowNs(), forMs + electionMs);
      await pause(forMs);
      heal();
    }
  }

  async #breakDisks(): Promise<void> {
    const { wait, random, fault } = this.#options;
    while (await wait(1_500, 4_000, 150)) {
      const node = this.#pick();
      const forMs = random.between(300, 2_500);
      const isFull = random.chance(1, 3);
      const breakage: Breakage = isFull
        ? { isFull }
        : { slowSyncMs: random.between(20, random.pick([100, 1_500])) };
      node.send(breakage);
      if (isFull) this.counts.fullDisks += 1;
      else this.counts.slowDisks += 1;
      fault(isFull ? 'disk full' : 'slow sync', nowNs(), forMs + electionMs);
      await pause(forMs);
      node.send({ isFull: false, slowSyncMs: 0 });
    }
  }

  /** One clock, however wrong, moves no partition's (SPEC §4): so one node's at a time. */
  async #jumpClocks(): Promise<void> {
    const { wait, random } = this.#options;
    const node = this.#pick();
    while (await wait(2_000, 5_000, 100)) {
      const byMs = random.between(1_000, random.pick([10_000, 7_200_000]));
      node.send({ wallOffMs: random.chance(1, 2) ? byMs : -byMs });
      this.counts.clockJumps += 1;
    }
  }

  /** Once a round, in one of two: a node is lost with its disk, or drained and removed; another takes its place. */
  async #changeNodes(): Promise<void> {
    const { wait, random, alone } = this.#options;
    if (!(await wait(1_000, 4_000, 200)) || random.chance(1, 2)) return;
    await alone(() => (random.chance(1, 2) ? this.#replace() : this.#drain()));
  }

  async #replace(): Promise<void> {
    const { servers, random, fault } = this.#options;
    const at = random.below(servers.nodes.length);
    const number = servers.numbers[at] ?? 0;
    fault('node lost', nowNs(), replaceAfterMs + electionMs);
    await servers.lose(at);
    await servers.join();
    await this.#emptied(number, 'gone');
    this.counts.nodesReplaced += 1;
  }

  async #drain(): Promise<void> {
    const { servers, random, client } = this.#options;
    await servers.join();
    const at = random.below(servers.nodes.length - 1);
    const number = servers.numbers[at] ?? 0;
    await client.admin.setNodeState(number, 'draining');
    await this.#emptied(number, 'draining');
    this.counts.nodesDrained += 1;
    await servers.lose(at);
  }

  /** Waits until a node has no replicas, and removes it. */
  async #emptied(node: number, state: 'gone' | 'draining'): Promise<void> {
    const { client, failed } = this.#options;
    const byMs = performance.now() + movedMsMax;
    for (;;) {
      try {
        await client.admin.setNodeState(node, 'removed', { timeoutMs: 2_000 });
        return;
      } catch (error) {
        if (performance.now() > byMs) {
          const { groups } = await client.admin.describeCluster();
          const left = groups.filter(({ replicas }) => replicas.some((each) => each.node === node));
          failed(
            `node ${node} is ${state}, and has replicas of ${left.length} groups after ${movedMsMax} ms: ${error}`,
          );
          return;
        }
      }
      await pause(300);
    }
  }

  #pick(): ServerProcess {
    return this.#options.random.pick(this.#options.servers.nodes);
  }
}
