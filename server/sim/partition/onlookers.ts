/**
 * Clients that stay with one gateway and look: while its node is cut off from the others, they see what a leader
 * there still believes.
 */
import { Prng } from '../../src/base/prng.ts';
import { SimClient } from '../client.ts';
import type { SimNetwork } from '../network.ts';
import type { RunRecord } from '../run-record.ts';
import { type Scheduler, SimProcess } from '../scheduler.ts';
import type { Settings } from '../settings.ts';
import { Workload, type WorkloadOptions } from '../workload.ts';
import { electionMs } from './settings.ts';

/** Calls of one onlooker at once. */
const lanes = 3;
const thinkMsMax = 60;
/** What is asked of a partition that cannot be reached is given up after so long. */
const timeoutMs = 200;

const looking: Partial<WorkloadOptions> = {
  // Nobody waits: a wait that ends tells no more than a look.
  waitPercent: 0,
  // One that is not pinned needs all partitions, most of which are on the other side.
  unpinnedPercent: 10,
  weights: {
    write: 0,
    'write-many': 0,
    'write-if-absent': 0,
    read: 10,
    take: 2,
    'read-many': 5,
    'take-many': 0,
    replace: 0,
    increment: 0,
    count: 10,
    renew: 0,
    cancel: 0,
  },
};

/** What onlookers need of their world. */
export interface OnlookersPlace {
  readonly settings: Settings;
  readonly scheduler: Scheduler;
  readonly network: SimNetwork;
  readonly record: RunRecord;
  readonly closed: (session: number, sequence: number) => void;
}

/** See the top of the file. */
export class Onlookers {
  readonly #place: OnlookersPlace;
  readonly #clients = new Set<SimClient>();
  #made = 0;
  /** Operations that they have asked. */
  operations = 0;

  constructor(place: OnlookersPlace) {
    this.#place = place;
  }

  /** One more comes to a gateway, and stays for so long; `looks` hears of each call. */
  add(address: string, forMs: number, looks: () => void): void {
    const { settings, scheduler, network, record, closed } = this.#place;
    this.#made += 1;
    const name = `o${this.#made}`;
    const random = new Prng(settings.seed, `onlooker/${this.#made}`);
    const skew = { driftPpm: 0, wallOriginMs: 1_600_000_000_000 };
    const process = new SimProcess(scheduler, name, skew);
    const client = new SimClient({
      process,
      net: network.netOf(process),
      random: random.fork('engine'),
      recorder: record.recorder,
      address: () => address,
      leaseMs: settings.leaseMs,
      partitions: 0,
      repliesHalvedMin: 48,
      onHalved: () => undefined,
      onClosed: closed,
    });
    this.#clients.add(client);
    const options = { ...settings.workload, ...looking };
    const workload = new Workload(name, random.fork('workload'), options);
    const look = (thinkMs: number): void => {
      process.after(thinkMs * 1000, () => {
        if (!client.open) return;
        looks();
        this.operations += 1;
        const { operation, asked } = workload.next();
        client.start(operation, asked, timeoutMs, () => look(random.between(1, thinkMsMax)));
      });
    };
    // Nobody else leads before.
    for (let lane = 0; lane < lanes; lane++) look(random.between(1, electionMs));
    // A session is there before the node is cut off, so that takes are answered as well.
    this.operations += 1;
    client.start('take', workload.take().asked, timeoutMs, () => undefined);
    scheduler.after(forMs * 1000, () => this.#close(client));
  }

  /** All of them go. */
  stop(): void {
    for (const client of this.#clients) this.#close(client);
  }

  #close(client: SimClient): void {
    this.#clients.delete(client);
    client.close();
  }
}
