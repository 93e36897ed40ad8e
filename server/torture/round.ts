/** One round: a fresh server, clients and watchers, faults, and a history to be judged. */
import { appendFileSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { type Client, connect } from '@tuplet/client';
import { historyOf, type Line, type Violation } from '../sim/check/history.ts';
import { simSpaces } from '../sim/workload.ts';
import { Prng } from '../src/base/prng.ts';
import { ServerCluster } from '../test/cluster/server-cluster.ts';
import { Ballast } from './ballast.ts';
import { type Counts, countsOf, floors } from './counts.ts';
import { Crew } from './crew.ts';
import { DiskWatch } from './disk-watch.ts';
import { type AllFaultCounts, Faults, noFaults } from './faults.ts';
import { nowNs } from './journal.ts';
import { mergeFolder } from './merge.ts';
import { replaceAfterMs } from './node-faults.ts';
import { survey } from './survey.ts';
import { complaint, judge } from './verdict.ts';

const serverScript = fileURLToPath(new URL('./server.js', import.meta.url));
/** Milliseconds after which a client's sessions end without it. */
const sessionLeaseMs = 4_000;
/** Bytes of events that each partition keeps: more than the ballast of a round, or watchers lose their place. */
const historyBytes = 64 * 2 ** 20;
/** Milliseconds in which everything must have come to rest when faults stop. */
const restMsMax = 60_000;
/** A round goes on so many times longer at most, where the machine is too slow for its floor. */
const patience = 12;
/** Milliseconds of rest before the survey; the checkers count on one second of it. */
const quietMs = 1_500;
/** The id of the survey of the first space; those of clients begin at a million. */
const surveyId = 900_000;

/** How a round is run. */
export interface RoundSettings {
  readonly number: number;
  readonly seed: number;
  readonly seconds: number;
  readonly clients: number;
  /** Servers; several found a cluster together. */
  readonly nodes: number;
  /** Where everything of the round lies. */
  readonly folder: string;
}

/** What a round came to. */
export interface RoundReport {
  readonly settings: RoundSettings;
  readonly counts: Counts;
  readonly faults: AllFaultCounts;
  readonly seconds: number;
  /** Snapshots that lay on the disk at the end: partitions that had taken one. */
  readonly snapshots: number;
  /** Times that the disk took too long for what is judged of time. */
  readonly slowSyncs: number;
  readonly violations: readonly Violation[];
  readonly historyPath: string;
}

/** Runs one round and judges it. */
export async function runRound(settings: RoundSettings): Promise<RoundReport> {
  const historyFolder = join(settings.folder, 'history');
  mkdirSync(historyFolder, { recursive: true });
  const logPath = join(settings.folder, 'server.log');
  const servers = await ServerCluster.start(settings.nodes, {
    folder: join(settings.folder, 'data'),
    arguments: [
      '--history-bytes',
      String(historyBytes),
      ...(settings.nodes > 1 ? ['--replace-after', `${replaceAfterMs}ms`] : []),
    ],
    ...(settings.nodes > 2 ? { isProxied: true, script: serverScript } : {}),
    log: (node, text) =>
      appendFileSync(logPath, settings.nodes > 1 ? `node ${node} ${text}` : text),
  });
  const round = new Round(settings, servers, historyFolder);
  try {
    await round.run();
  } finally {
    await round.stop();
  }
  return round.report();
}

class Round {
  readonly #settings: RoundSettings;
  readonly #servers: ServerCluster;
  readonly #folder: string;
  readonly #lines: Line[] = [];
  readonly #violations: Violation[] = [];
  readonly #random: Prng;
  readonly #crew: Crew;
  readonly #disk: DiskWatch;
  #faults: AllFaultCounts = noFaults();
  #client: Client | undefined;
  #seconds = 0;
  #snapshots = 0;

  constructor(settings: RoundSettings, servers: ServerCluster, folder: string) {
    this.#settings = settings;
    this.#servers = servers;
    this.#folder = folder;
    this.#random = new Prng(settings.seed, `round ${settings.number}`);
    this.#disk = new DiskWatch(settings.folder, (line) => this.#lines.push(line));
    const { seed, number } = settings;
    this.#lines.push({
      kind: 'start',
      format: 1,
      time: nowNs(),
      settings: { torture: true, seed, round: number, spaces: simSpaces, sessionLeaseMs },
    });
    this.#crew = new Crew({
      urlFor: (ordinal) => servers.urlFrom(ordinal),
      folder,
      seed: this.#random.uint32(),
      sessionLeaseMs,
      record: (line) => this.#lines.push(line),
      failed: (message) => this.#say(message),
    });
  }

  async run(): Promise<void> {
    this.#disk.start();
    const client = await connect(this.#servers.url(), { name: 'judge' });
    this.#client = client;
    for (const { name, rule, like } of simSpaces) {
      const rules = rule === undefined ? {} : { rules: [rule] };
      await client.admin.createSpace(name, like === undefined ? rules : { like });
    }
    await this.#crew.startObserver();
    await this.#crew.startWatchers();
    await this.#crew.startClients(this.#settings.clients);
    const ballast = new Ballast(client);
    await ballast.start('plain');
    const begunNs = nowNs();
    const faults = new Faults(this.#servers, this.#crew, this.#random.fork('faults'), {
      client,
      record: (line) => this.#lines.push(line),
      failed: (message) => this.#say(message),
      sessionLeaseMs,
      progress: () => this.#crew.ok,
      enough: floors.operations * 1.2,
    });
    const leastMs = this.#settings.seconds * 1_000;
    this.#faults = await faults.run(leastMs, leastMs * patience);
    this.#seconds = (nowNs() - begunNs) / 1e9;
    await ballast.stop();
    await this.#settle(client);
  }

  /** No faults any more: clients drain, sessions of the dead end, and what is left is looked at. */
  async #settle(client: Client): Promise<void> {
    await this.#crew.drain(restMsMax);
    await pause(sessionLeaseMs);
    const byMs = performance.now() + restMsMax;
    while ((await this.#handed()) > 0 && performance.now() < byMs) await pause(200);
    await pause(quietMs);
    this.#lines.push({ kind: 'quiet', time: nowNs() });
    for (const [at, { name }] of simSpaces.entries()) {
      const id = surveyId + at;
      const told = { id, process: 'judge', operation: 'survey' } as const;
      this.#lines.push({ kind: 'invoke', ...told, arguments: { space: name }, time: nowNs() });
      const found = await survey(client.space(name));
      this.#lines.push({
        kind: 'complete',
        ...told,
        outcome: 'ok',
        result: { found },
        time: nowNs(),
      });
    }
  }

  /** Tuples handed over and not acknowledged, as those say who have applied most. */
  async #handed(): Promise<number> {
    const newest = new Map<number, { readonly applied: number; readonly handed: number }>();
    for (const { address } of this.#servers.nodes) {
      await using client = await connect(`tuplet://${address}`, { name: 'judge' });
      for (const each of (await client.admin.describeNode()).partitions) {
        if ((newest.get(each.partition)?.applied ?? -1) < each.applied)
          newest.set(each.partition, each);
      }
    }
    return [...newest.values()].reduce((sum, { handed }) => sum + handed, 0);
  }

  async stop(): Promise<void> {
    for (const { folder } of this.#servers.nodes) {
      const snapshots = readdirSync(join(folder, 'snapshots'));
      this.#snapshots += snapshots.filter((file) => file !== 'reserve').length;
    }
    await this.#disk.stop();
    await this.#crew.finish();
    await this.#client?.close();
    for (const server of this.#servers.nodes) {
      const code = await server.stop();
      if (code !== 0) this.#say(`a server ended with ${code} when it was told to stop`);
    }
    await this.#servers.closeProxies();
  }

  report(): RoundReport {
    const lines = mergeFolder(this.#folder, this.#lines);
    const historyPath = join(this.#settings.folder, 'history.jsonl');
    writeFileSync(historyPath, lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
    const history = historyOf(lines);
    return {
      settings: this.#settings,
      counts: countsOf(history),
      faults: this.#faults,
      seconds: this.#seconds,
      snapshots: this.#snapshots,
      slowSyncs: this.#disk.slow,
      violations: [...this.#violations, ...judge(history)],
      historyPath,
    };
  }

  #say(message: string): void {
    this.#violations.push(complaint(message));
  }
}
