/** What is done to the server and its clients in a round. */
import { setTimeout as pause } from 'node:timers/promises';
import type { Client } from '@tuplet/client';
import type { Line } from '../sim/check/history.ts';
import type { Prng } from '../src/base/prng.ts';
import type { ServerCluster } from '../test/cluster/server-cluster.ts';
import type { Crew } from './crew.ts';
import { nowNs } from './journal.ts';
import { type NodeFaultCounts, NodeFaults, noNodeFaults } from './node-faults.ts';

const nsPerMs = 1_000_000;
/** Milliseconds in which others lead what a node led that was killed, and clients have found them. */
const electionMs = 3_000;
/** Milliseconds between two looks at whether the round is over. */
const lookMs = 200;

/** What was done. */
export interface FaultCounts {
  serverKills: number;
  /** Of these: the server served again, on the same data and port. */
  recovered: number;
  clientKills: number;
  /** Clients stopped for longer than their lease; some of them killed meanwhile. */
  clientStops: number;
  killedWhileStopped: number;
  /** Watchers killed, and their streams resumed by another process. */
  watcherKills: number;
  /** Milliseconds from the start of a process to its serving, added up. */
  recoveryMs: number;
}

/** All that was done in a round. */
export interface AllFaultCounts extends FaultCounts, NodeFaultCounts {}

/** Nothing yet. */
export function noFaults(): AllFaultCounts {
  return {
    ...noNodeFaults(),
    serverKills: 0,
    recovered: 0,
    clientKills: 0,
    clientStops: 0,
    killedWhileStopped: 0,
    watcherKills: 0,
    recoveryMs: 0,
  };
}

/** What the faults need of their round. */
export interface FaultOptions {
  readonly client: Client;
  readonly record: (line: Line) => void;
  readonly failed: (message: string) => void;
  readonly sessionLeaseMs: number;
  /** Operations that have succeeded so far. */
  readonly progress: () => number;
  /** As many are enough. */
  readonly enough: number;
}

/**
 * Successful operations between two faults of a sort, at least: on a slow machine faults would else
 * leave no time for work. On a quiet one the time between them decides.
 */
const operationsBetween = {
  serverKills: 200,
  clientKills: 300,
  clientStops: 250,
  watcherKills: 300,
};

/** Does everything at once, at times that the seed chooses. */
export class Faults {
  readonly #servers: ServerCluster;
  readonly #crew: Crew;
  readonly #random: Prng;
  readonly #options: FaultOptions;
  readonly #counts: AllFaultCounts = noFaults();
  /** What takes a node away is done one at a time. */
  #alone: Promise<void> = Promise.resolve();
  /** Clients that one fault has in its hand. */
  readonly #busy = new Set<number>();
  #leastUntilMs = 0;
  #mostUntilMs = 0;

  constructor(servers: ServerCluster, crew: Crew, random: Prng, options: FaultOptions) {
    this.#servers = servers;
    this.#crew = crew;
    this.#random = random;
    this.#options = options;
  }

  /**
   * For `leastMs`, and up to `mostMs` until the round has done enough; when it resolves the server
   * serves and nobody stands still.
   */
  async run(leastMs: number, mostMs: number): Promise<AllFaultCounts> {
    this.#leastUntilMs = performance.now() + leastMs;
    this.#mostUntilMs = performance.now() + mostMs;
    await Promise.all([
      this.#killServer(),
      this.#killClients(),
      this.#stopClients(),
      this.#killWatchers(),
      this.#breakNodes(),
    ]);
    while (!this.#isOver()) await pause(lookMs);
    return this.#counts;
  }

  /** Of a cluster. */
  async #breakNodes(): Promise<void> {
    if (this.#servers.nodes.length < 3) return;
    const faults = new NodeFaults({
      servers: this.#servers,
      random: this.#random.fork('nodes'),
      client: this.#options.client,
      wait: (leastMs, mostMs, operations) => this.#wait(leastMs, mostMs, operations),
      fault: (name, time, forMs) => this.#fault(name, time, { forMs }),
      failed: (message) => this.#options.failed(message),
      alone: (run) => this.#aloneRun(run),
    });
    await faults.run();
    Object.assign(this.#counts, faults.counts);
  }

  #aloneRun(run: () => Promise<void>): Promise<void> {
    this.#alone = this.#alone.then(run);
    return this.#alone;
  }

  /** Waits between two faults; false where the round is over first. */
  async #wait(leastMs: number, mostMs: number, operations: number): Promise<boolean> {
    const untilMs = performance.now() + this.#random.between(leastMs, mostMs);
    const until = this.#options.progress() + operations;
    for (;;) {
      if (this.#isOver()) return false;
      const leftMs = untilMs - performance.now();
      if (leftMs <= 0 && this.#options.progress() >= until) return true;
      await pause(leftMs <= 0 ? lookMs : Math.min(lookMs, leftMs));
    }
  }

  #isOver(): boolean {
    const nowMs = performance.now();
    if (nowMs < this.#leastUntilMs) return false;
    return nowMs >= this.#mostUntilMs || this.#options.progress() >= this.#options.enough;
  }

  async #killServer(): Promise<void> {
    while (await this.#waitToKill()) await this.#aloneRun(() => this.#killOne());
  }

  async #killOne(): Promise<void> {
    const time = nowNs();
    const { nodes } = this.#servers;
    const server = this.#random.pick(nodes);
    const code = await server.kill();
    if (code !== null) this.#options.failed(`the server had ended by itself with ${code}`);
    this.#counts.serverKills += 1;
    await pause(this.#random.below(300));
    const startNs = nowNs();
    await server.restart();
    const servesNs = nowNs();
    this.#counts.recovered += 1;
    this.#counts.recoveryMs += Math.round((servesNs - startNs) / nsPerMs);
    const forMs = Math.ceil((servesNs - time) / nsPerMs);
    this.#fault('crash', time, { forMs: nodes.length > 1 ? forMs + electionMs : forMs });
    this.#fault('restart', servesNs);
  }

  /** Now and then for longer than a lease: sessions of the dead end only while the server serves. */
  #waitToKill(): Promise<boolean> {
    const { sessionLeaseMs } = this.#options;
    const operations = operationsBetween.serverKills;
    if (this.#random.chance(3, 4)) return this.#wait(300, 2_000, operations);
    return this.#wait(sessionLeaseMs + 500, sessionLeaseMs + 2_500, operations);
  }

  async #killClients(): Promise<void> {
    while (await this.#wait(2_000, 8_000, operationsBetween.clientKills)) {
      const at = this.#free();
      if (at === undefined) continue;
      this.#busy.add(at);
      await this.#crew.replaceClient(at);
      this.#counts.clientKills += 1;
      this.#busy.delete(at);
    }
  }

  async #stopClients(): Promise<void> {
    const stops: Promise<void>[] = [];
    while (await this.#wait(1_000, 5_000, operationsBetween.clientStops)) {
      const at = this.#free();
      if (at !== undefined) stops.push(this.#stopOne(at));
    }
    await Promise.all(stops);
  }

  /** Stops a client for longer than its lease; kills one in four while it stands still. */
  async #stopOne(at: number): Promise<void> {
    const client = this.#crew.clients[at];
    if (client === undefined) return;
    this.#busy.add(at);
    const forMs = this.#options.sessionLeaseMs + this.#random.between(300, 1_500);
    await client.stop();
    this.#fault('pause', nowNs(), { process: client.name, forMs });
    this.#counts.clientStops += 1;
    await pause(forMs);
    if (this.#random.chance(1, 4)) {
      await this.#crew.replaceClient(at);
      this.#counts.clientKills += 1;
      this.#counts.killedWhileStopped += 1;
    } else client.resume();
    this.#busy.delete(at);
  }

  async #killWatchers(): Promise<void> {
    while (await this.#wait(2_000, 6_000, operationsBetween.watcherKills)) {
      await this.#crew.replaceWatcher(this.#random.below(this.#crew.watchers.length));
      this.#counts.watcherKills += 1;
    }
  }

  /** A client that no other fault has in its hand. */
  #free(): number | undefined {
    const free = [...this.#crew.clients.keys()].filter((at) => !this.#busy.has(at));
    return free.length === 0 ? undefined : this.#random.pick(free);
  }

  #fault(
    fault: string,
    time: number,
    what: { readonly process?: string; readonly forMs?: number } = {},
  ): void {
    this.#options.record({ kind: 'fault', fault, time, ...what });
  }
}
