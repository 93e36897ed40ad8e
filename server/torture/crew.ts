/** The processes of a round: clients, watchers, the observer. */
import { type ChildProcess, fork } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Line } from '../sim/check/history.ts';
import { simSpaces } from '../sim/workload.ts';
import { nowNs } from './journal.ts';
import { linesSuffix, streamSuffix } from './merge.ts';
import type { ClientSettings, Order, StreamSettings, Told, WatcherSettings } from './messages.ts';

const script = fileURLToPath(new URL('./process.js', import.meta.url));
/** Milliseconds that a process may take to begin: twenty of them share two cores. */
const startMsMax = 120_000;
/** Milliseconds between two looks at whether a process stands still. */
const lookMs = 1;

/** What a crew is made of. */
export interface CrewOptions {
  /** Where the servers are, for the process of this number. */
  readonly urlFor: (ordinal: number) => string;
  readonly folder: string;
  readonly seed: number;
  readonly sessionLeaseMs: number;
  readonly record: (line: Line) => void;
  /** Hears what a process complains of. */
  readonly failed: (message: string) => void;
}

/** One process of a crew. */
export class Member {
  readonly settings: ClientSettings | WatcherSettings;
  readonly name: string;
  readonly #child: ChildProcess;
  readonly #gone: Promise<void>;
  #expected = false;
  #isReady = false;
  #isDrained = false;
  #ok = 0;
  #stopped = false;
  #changed: () => void = () => {};

  constructor(
    settings: ClientSettings | WatcherSettings,
    name: string,
    failed: (message: string) => void,
  ) {
    this.settings = settings;
    this.name = name;
    this.#child = fork(script, [JSON.stringify(settings)], {
      execArgv: [],
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    });
    let said = '';
    this.#child.stderr?.on('data', (chunk: Buffer) => {
      said = (said + chunk.toString()).slice(-4_000);
    });
    this.#child.on('message', (told: Told) => {
      if (told.kind === 'ready') this.#isReady = true;
      if (told.kind === 'progress') this.#ok = told.ok;
      if (told.kind === 'drained') this.#isDrained = true;
      if (told.kind === 'failed') failed(`${name}: ${told.message}`);
      this.#changed();
    });
    this.#gone = new Promise((resolve) => {
      this.#child.once('exit', (code, signal) => {
        if (!this.#expected) failed(`${name} ended by itself (${code ?? signal}): ${said}`);
        this.#changed();
        resolve();
      });
    });
  }

  get isStopped(): boolean {
    return this.#stopped;
  }

  /** Operations of it that have succeeded. */
  get ok(): number {
    return this.#ok;
  }

  /** Resolves when it works. */
  ready(): Promise<void> {
    return this.#until(() => this.#isReady, startMsMax);
  }

  /** Resolves when nothing of it is open but what waits for ever, or the time is over. */
  async drain(drainMsMax: number): Promise<boolean> {
    this.#send('drain');
    await this.#until(() => this.#isDrained, drainMsMax);
    return this.#isDrained;
  }

  /** SIGKILL. Resolves when it is gone. */
  async kill(): Promise<void> {
    this.#expected = true;
    this.#child.kill('SIGKILL');
    await this.#gone;
  }

  /** SIGSTOP. Resolves when it stands still. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#child.kill('SIGSTOP');
    while (this.#isAlive() && !this.#standsStill()) await pause(lookMs);
  }

  /** SIGCONT. */
  resume(): void {
    this.#stopped = false;
    this.#child.kill('SIGCONT');
  }

  /** Ends it in order, by force after a while. */
  async finish(): Promise<void> {
    this.#expected = true;
    if (this.#stopped) this.resume();
    this.#send('finish');
    const force = setTimeout(() => this.#child.kill('SIGKILL'), 10_000);
    await this.#gone;
    clearTimeout(force);
  }

  #isAlive(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** The state in /proc/PID/stat comes after the name, which is in brackets. */
  #standsStill(): boolean {
    const stat = readFileSync(`/proc/${this.#child.pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2, stat.lastIndexOf(')') + 3) === 'T';
  }

  #send(order: Order): void {
    if (this.#child.connected) this.#child.send(order);
  }

  /** Resolves when the condition holds, the process is gone, or the time is over. */
  #until(condition: () => boolean, msMax: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        this.#changed = () => {};
        resolve();
      }, msMax);
      this.#changed = () => {
        if (!condition() && this.#isAlive()) return;
        this.#changed = () => {};
        clearTimeout(timer);
        resolve();
      };
      this.#changed();
    });
  }
}

/** See the top of the file. */
export class Crew {
  readonly clients: Member[] = [];
  readonly watchers: Member[] = [];
  readonly #options: CrewOptions;
  #observer: Member | undefined;
  #ordinal = 0;
  #streams = 0;
  /** Successful operations of the dead. */
  #okOfDead = 0;

  constructor(options: CrewOptions) {
    this.#options = options;
  }

  /** Operations that have succeeded, as far as the clients have said. */
  get ok(): number {
    return this.clients.reduce((sum, client) => sum + client.ok, this.#okOfDead);
  }

  /** A process that follows every space from its first event on; its events are the committed history. */
  async startObserver(): Promise<void> {
    const streams = simSpaces.map(({ name }) =>
      this.#stream({ process: 'observer', space: name, template: null, kinds: [], observer: true }),
    );
    this.#observer = this.#watch('observer', streams);
    await this.#observer.ready();
  }

  /** Two processes that follow parts, and are killed. */
  async startWatchers(): Promise<void> {
    const first = { process: 'watcher 1', observer: false } as const;
    const second = { process: 'watcher 2', observer: false } as const;
    const jobs = [{ matchers: [{ actual: 'job' }], rest: true }];
    const some = [{ matchers: [{ any: true } as const, { in: [0, 2] }], rest: true }];
    this.watchers.push(
      this.#watch('watcher 1', [
        this.#stream({ ...first, space: 'plain', template: jobs, kinds: [] }),
        this.#stream({ ...first, space: 'spread', template: null, kinds: ['WRITTEN', 'TAKEN'] }),
      ]),
      this.#watch('watcher 2', [
        this.#stream({ ...second, space: 'spread', template: jobs, kinds: [] }),
        this.#stream({
          ...second,
          space: 'twin',
          template: some,
          kinds: ['REPLACED', 'RETURNED', 'EXPIRED', 'TAKEN'],
        }),
      ]),
    );
    await Promise.all(this.watchers.map((watcher) => watcher.ready()));
  }

  async startClients(count: number): Promise<void> {
    for (let at = 0; at < count; at++) this.clients.push(this.#newClient());
    await Promise.all(this.clients.map((client) => client.ready()));
  }

  /** Kills a client; another process takes its place. */
  async replaceClient(at: number): Promise<void> {
    const client = this.clients[at];
    if (client === undefined) throw new RangeError(`there is no client ${at}`);
    await client.kill();
    const told = { kind: 'end', process: client.name, reason: 'killed' } as const;
    this.#options.record({ ...told, time: nowNs() });
    this.#okOfDead += client.ok;
    this.clients[at] = this.#newClient();
  }

  /** Kills a watcher; another process goes on with its streams. */
  async replaceWatcher(at: number): Promise<void> {
    const watcher = this.watchers[at];
    if (watcher?.settings.kind !== 'watcher') throw new RangeError(`there is no watcher ${at}`);
    await watcher.kill();
    this.watchers[at] = this.#watch(watcher.name, watcher.settings.streams);
  }

  /** Resolves when all clients have come to rest; complains of those that have not in time. */
  async drain(msMax: number): Promise<void> {
    await Promise.all(this.watchers.map((watcher) => watcher.ready()));
    await Promise.all(this.clients.map((client) => client.ready()));
    const rested = await Promise.all(this.clients.map((client) => client.drain(msMax)));
    for (const [at, isRested] of rested.entries()) {
      if (isRested) continue;
      this.#options.failed(`${this.clients[at]?.name} has calls that are not answered`);
    }
  }

  async finish(): Promise<void> {
    const all = [...this.clients, ...this.watchers];
    if (this.#observer !== undefined) all.push(this.#observer);
    await Promise.all(all.map((member) => member.finish()));
  }

  #newClient(): Member {
    const { folder, seed, sessionLeaseMs, failed, urlFor } = this.#options;
    const ordinal = ++this.#ordinal;
    const url = urlFor(ordinal);
    const name = `c${ordinal}`;
    const path = join(folder, name + linesSuffix);
    const settings = { url, path, name, ordinal, seed, sessionLeaseMs } as const;
    return new Member({ kind: 'client', ...settings }, name, failed);
  }

  #stream(about: Omit<StreamSettings, 'id' | 'path'>): StreamSettings {
    const id = ++this.#streams;
    return { ...about, id, path: join(this.#options.folder, `stream-${id}${streamSuffix}`) };
  }

  #watch(name: string, streams: readonly StreamSettings[]): Member {
    const { failed, urlFor } = this.#options;
    const url = urlFor(++this.#ordinal);
    return new Member({ kind: 'watcher', url, streams }, name, failed);
  }
}
