/** Who works with the node in a run: clients with their workloads, and followers of spaces. */
import { Prng } from '../src/base/prng.ts';
import { SimClient } from './client.ts';
import type { SimNetwork } from './network.ts';
import { Follower } from './notify-client.ts';
import type { RunRecord } from './run-record.ts';
import { type Scheduler, SimProcess } from './scheduler.ts';
import type { Settings } from './settings.ts';
import { simSpaces, Workload } from './workload.ts';

/** A client process, and what the seed makes it do. */
export interface LiveClient {
  readonly client: SimClient;
  readonly workload: Workload;
  readonly random: Prng;
}

/** What clients need of their world. */
export interface CrowdPlace {
  readonly settings: Settings;
  readonly scheduler: Scheduler;
  readonly network: SimNetwork;
  readonly record: RunRecord;
  /** How many partitions there are. */
  readonly partitions: number;
  /** Where clients connect to. */
  readonly addresses: () => readonly string[];
  /** How often the node has ended so far. */
  readonly restarts: () => number;
  /** A client has heard that an operation, surely, got nothing (I4). */
  readonly closed: (session: number, sequence: number) => void;
}

/** See the top of the file. */
export class Crowd {
  readonly #settings: Settings;
  readonly #scheduler: Scheduler;
  readonly #network: SimNetwork;
  readonly #record: RunRecord;
  readonly #partitions: number;
  readonly #addresses: () => readonly string[];
  readonly #restarts: () => number;
  readonly #closed: (session: number, sequence: number) => void;
  readonly #clients: LiveClient[] = [];
  readonly #following = new Set<Follower>();
  #clientsMade = 0;
  #followers = 0;
  #working = true;

  constructor(place: CrowdPlace) {
    const { settings, scheduler, network, record, addresses, restarts, closed } = place;
    this.#partitions = place.partitions;
    this.#settings = settings;
    this.#scheduler = scheduler;
    this.#network = network;
    this.#record = record;
    this.#addresses = addresses;
    this.#restarts = restarts;
    this.#closed = closed;
  }

  /** Nobody begins anything new from now on. */
  stop(): void {
    this.#working = false;
  }

  /** Any of the clients; undefined where there is none. */
  pick(random: Prng): LiveClient | undefined {
    return this.#clients.length === 0 ? undefined : random.pick(this.#clients);
  }

  /** A client has gone; another one comes after a while. */
  replace(gone: LiveClient, afterMs: number): void {
    this.#clients.splice(this.#clients.indexOf(gone), 1);
    this.#after(afterMs, () => this.addClient());
  }

  /** One more client that works. */
  addClient(): void {
    const number = ++this.#clientsMade;
    const name = `c${number}`;
    const random = new Prng(this.#settings.seed, `client/${number}`);
    // Never slower than the node's: a lease of the client ends first (S2).
    const driftPpm = random.below(200);
    const skew = { driftPpm, wallOriginMs: 1_600_000_000_000 };
    const process = new SimProcess(this.#scheduler, name, skew);
    const client = new SimClient({
      process,
      net: this.#network.netOf(process),
      random: random.fork('engine'),
      recorder: this.#record.recorder,
      address: () => random.pick(this.#addresses()),
      leaseMs: this.#settings.leaseMs,
      partitions: this.#partitions,
      repliesHalvedMin: random.pick([2, 3, 48]),
      onHalved: () => this.#record.count('a message was heard in two turns'),
      onClosed: (session, sequence) => this.#closed(session, sequence),
    });
    const workload = new Workload(name, random.fork('workload'), this.#settings.workload);
    const live = { client, workload, random };
    this.#clients.push(live);
    for (let lane = 0; lane < this.#settings.lanes; lane++) this.#think(live);
  }

  /** A client that follows a space; where its history is cut behind it, another one begins. */
  addFollower(): void {
    const name = `n${++this.#followers}`;
    const random = new Prng(this.#settings.seed, `follower/${name}`);
    const skew = { driftPpm: 0, wallOriginMs: 0 };
    const process = new SimProcess(this.#scheduler, name, skew);
    const all = random.chance(1, 2);
    const follower: Follower = new Follower({
      process,
      net: this.#network.netOf(process),
      random,
      recorder: this.#record.recorder,
      address: () => random.pick(this.#addresses()),
      space: random.pick(simSpaces).name,
      template: all ? null : [{ matchers: [{ actual: random.pick(['job', 'res']) }], rest: true }],
      kinds: random.chance(1, 2) ? [] : ['WRITTEN', 'TAKEN', 'RETURNED'],
      onResume: () => this.#record.count('a notify resumed'),
      onCompacted: () => {
        this.#record.count('a cursor had been compacted');
        this.#following.delete(follower);
        this.#after(1, () => this.addFollower());
      },
    });
    this.#following.add(follower);
    const lose = (): void => {
      this.#after(random.between(100, 4000), () => {
        if (!this.#working || !this.#following.has(follower)) return;
        follower.reconnect();
        lose();
      });
    };
    lose();
  }

  #think(live: LiveClient): void {
    const { process } = live.client;
    const thinkUs = live.random.between(1, this.#settings.thinkMsMax * 1000);
    process.after(thinkUs, () => {
      if (!this.#working || !live.client.open) return;
      const { operation, asked, timeoutMs } = live.workload.next();
      const restarts = this.#restarts();
      live.client.start(operation, asked, timeoutMs, (outcome, result, cancelled) => {
        live.workload.saw(asked, outcome, result);
        const waited = asked.waitMs !== undefined && asked.waitMs !== 0 && outcome === 'ok';
        if (waited && restarts < this.#restarts()) {
          this.#record.count('a waiter waited across a restart');
        }
        if (cancelled && operation.startsWith('take')) {
          if (outcome === 'cancelled') this.#record.count('a blocked take was cancelled');
          if (outcome === 'ok') this.#record.count('a cancelled take had its tuple');
        }
        this.#think(live);
      });
    });
  }

  #after(delayMs: number, run: () => void): void {
    this.#scheduler.after(delayMs * 1000, run);
  }
}
