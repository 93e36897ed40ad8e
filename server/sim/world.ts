/** One run: a node, its clients, and what happens to them. */
import { Prng } from '../src/base/prng.ts';
import { Crowd } from './crowd.ts';
import { type DiskCall, SimDisk } from './disk.ts';
import { inflict, pickFault } from './faults.ts';
import { SimNetwork } from './network.ts';
import { gatewayAddresses, SimNode } from './node.ts';
import { type RunListeners, RunRecord, type RunReport } from './run-record.ts';
import { type ClockSkew, Scheduler, type SimProcess } from './scheduler.ts';
import { type Profile, type Settings, settingsOf } from './settings.ts';
import { Tap } from './tap.ts';
import { PathWatch } from './watch.ts';
import { simSpaces } from './workload.ts';

const partitions = 16;
const segmentBytes = 65_536;
/** Faults have stopped for so long when everything is looked at: longer than any lease and back-off. */
const settleMs = 9_000;
const hourMs = 3_600_000;
/** Events between two looks at the invariants of a room. */
const verifyEvery = 100;

/** How a run is made and told. */
export interface RunOptions extends RunListeners {
  /** Undefined: the seed draws it. */
  readonly profile?: Profile | undefined;
}

/** See the top of the file. */
export class World {
  readonly settings: Settings;
  readonly #scheduler: Scheduler;
  readonly #random: Prng;
  readonly #network: SimNetwork;
  readonly #disk: SimDisk;
  readonly #record: RunRecord;
  readonly #tap: Tap;
  readonly #watch: PathWatch;
  readonly #node: SimNode;
  readonly #nodeSkew: ClockSkew = { driftPpm: 0, wallOriginMs: 1_700_000_000_000 };
  readonly #crowd: Crowd;
  #working = true;
  #booting = false;
  #crashArmed: { readonly at: 'reply' | 'sync'; readonly downMs: number } | undefined;
  #tornFiles = 0;
  #restarts = 0;

  constructor(seed: number, options: RunOptions = {}) {
    this.settings = settingsOf(seed, options.profile);
    this.#scheduler = new Scheduler(seed);
    this.#random = new Prng(seed, 'world');
    this.#record = new RunRecord(options, () => this.#scheduler.nowUs * 1000);
    const { network } = this.settings;
    this.#network = new SimNetwork(
      this.#scheduler,
      new Prng(seed, 'network'),
      network,
      this.#record.trace,
    );
    this.#network.onSend = (from) => this.#sent(from);
    this.#disk = this.#makeDisk(seed);
    this.#watch = new PathWatch(
      this.#record.counts,
      () => this.#scheduler.nowMs,
      (partition) => this.#node.host?.epochOf(partition),
    );
    this.#tap = new Tap(this.#record.recorder, this.#watch, this.settings.historyBytesMax);
    this.#node = this.#makeNode(seed);
    this.#crowd = new Crowd({
      settings: this.settings,
      scheduler: this.#scheduler,
      network: this.#network,
      record: this.#record,
      partitions,
      addresses: () => gatewayAddresses,
      restarts: () => this.#restarts,
      closed: (session, sequence) => this.#watch.closed(session, sequence),
    });
  }

  /** Runs it all. */
  async run(): Promise<RunReport> {
    const rejected = (error: unknown): void => this.#record.bug(error);
    process.on('unhandledRejection', rejected);
    try {
      await this.#course();
    } catch (error) {
      this.#record.bug(error);
    } finally {
      process.off('unhandledRejection', rejected);
    }
    return this.#record.report({
      seed: this.settings.seed,
      events: this.#scheduler.eventsRun,
      virtualMs: this.#scheduler.nowMs,
    });
  }

  async #course(): Promise<void> {
    this.#record.recorder.start({ seed: this.settings.seed, partitions, wayMs: this.#wayMs() });
    for (const { name } of simSpaces) this.#tap.observe(name);
    this.#boot();
    for (let each = 0; each < this.settings.clients; each++) this.#crowd.addClient();
    for (let each = 0; each < 2; each++) this.#crowd.addFollower();
    this.#scheduleFault();
    this.#scheduler.afterEvent = () => this.#verifyOne();
    const untilUs = this.settings.workMs * 1000;
    const enough = (): boolean => this.#record.recorder.operations >= this.settings.operations;
    await this.#scheduler.run(untilUs, enough);
    await this.#settle();
    this.#record.judge({ seen: this.#node.seen(), tap: this.#tap, watch: this.#watch });
  }

  // What faults.ts does.

  /** The node ends now and begins again after `downMs`. */
  crash(how: 'power' | 'process', downMs: number): void {
    if (!this.#node.running) return;
    const torn = this.#disk.counts.tornWrites;
    this.#record.fault('crash', downMs);
    this.#node.crash(how === 'power');
    this.#watch.restarted();
    this.#restarts++;
    this.#crashArmed = undefined;
    if (this.#disk.counts.tornWrites > torn) this.#record.count('crash with torn writes');
    if (this.settings.wallJumps && this.#random.chance(1, 3)) this.#jumpWall();
    this.#after(downMs, () => this.#boot());
  }

  /** The machine fails right after the next reply has left. */
  crashAtReply(downMs: number): void {
    this.#crashArmed = { at: 'reply', downMs };
  }

  /** The machine fails while the next sync is on its way. */
  crashBeforeSync(downMs: number): void {
    this.#crashArmed = { at: 'sync', downMs };
  }

  /** A client ends: killed, or now and then in order. */
  killClient(): void {
    const chosen = this.#crowd.pick(this.#random);
    if (chosen === undefined) return;
    if (this.#random.chance(1, 4)) {
      chosen.client.close();
      this.#crowd.replace(chosen, this.#random.between(1, 500));
      return;
    }
    const { process } = chosen.client;
    process.kill();
    this.#network.processGone(process);
    this.#record.recorder.end(process.name, 'killed');
    this.#record.fault('client killed', 0, process.name);
    this.#crowd.replace(chosen, this.#random.between(1, 500));
  }

  pauseClient(forMs: number): void {
    const chosen = this.#crowd.pick(this.#random);
    if (chosen === undefined) return;
    chosen.client.process.pause(forMs);
    this.#record.recorder.fault('pause', { process: chosen.client.process.name, forMs });
    this.#record.count('client paused');
    if (forMs > this.settings.leaseMs) this.#record.count('client paused beyond its lease');
  }

  breakLink(): void {
    const chosen = this.#crowd.pick(this.#random);
    if (chosen === undefined || !this.#network.breakOne(chosen.client.process)) return;
    this.#record.fault('connection broken', 2000, chosen.client.process.name);
  }

  stallLink(forMs: number): void {
    const chosen = this.#crowd.pick(this.#random);
    if (chosen === undefined || !this.#network.stallOne(chosen.client.process, forMs)) return;
    this.#record.fault('connection stalled', forMs, chosen.client.process.name);
  }

  killGateway(downMs: number): void {
    const address = this.#random.pick(gatewayAddresses);
    if (!this.#node.killGateway(address)) return;
    this.#record.fault('gateway killed', downMs);
    this.#after(downMs, () => this.#node.openGateway(address));
  }

  slowDisk(forMs: number): void {
    this.#disk.faults.slowSync = 0.3;
    this.#record.fault('slow sync', forMs + 2000);
    this.#after(forMs, () => {
      this.#disk.faults.slowSync = 0;
    });
  }

  fillDisk(forMs: number): void {
    if (this.#watch.diskFull) return;
    this.#disk.capacityBytes = this.#disk.usedBytes() + this.#random.below(4096);
    this.#watch.diskFull = true;
    this.#record.fault('disk full', forMs + 3000);
    this.#after(forMs, () => {
      this.#freeDisk();
      this.#record.count('disk freed');
    });
  }

  breakDisk(call: 'write' | 'sync'): void {
    this.#disk.failNext(call, 'io');
    this.#record.fault('disk error');
  }

  pauseNode(forMs: number): void {
    if (!this.#node.running) return;
    this.#node.pause(forMs);
    this.#record.fault('node paused', forMs);
  }

  cancelCall(): void {
    this.#crowd.pick(this.#random)?.client.cancelOne(this.#random);
  }

  // The node.

  #makeDisk(seed: number): SimDisk {
    const random = new Prng(seed, 'disk');
    const disk = new SimDisk({
      schedule: (delayMs, run) => void this.#scheduler.after(delayMs * 1000, run),
      random,
      delays: { writeMs: [0.01, 0.1], syncMs: [0.05, this.settings.syncMsMax] },
    });
    disk.onCall = (call, name) => {
      this.#record.note(`disk ${call} ${name}`);
      this.#watchSnapshot(call, name);
      if (call !== 'sync' || this.#crashArmed?.at !== 'sync') return;
      const { downMs } = this.#crashArmed;
      this.#crashArmed = undefined;
      this.#record.count('crash before a sync');
      this.#after(0, () => this.crash('power', downMs));
    };
    return disk;
  }

  #watchSnapshot(call: DiskCall, name: string): void {
    if (!name.startsWith('snapshots/') || name === 'snapshots/reserve') return;
    if (call === 'name') {
      this.#watch.snapshotting = name.endsWith('.new');
      if (!this.#watch.snapshotting) this.#record.count('a snapshot was cut');
    } else if (call === 'remove' && name.endsWith('.new')) this.#watch.snapshotting = false;
  }

  #makeNode(seed: number): SimNode {
    const { bus, snapshotTailBytes, historyBytesMax, batchTuplesMax } = this.settings;
    return new SimNode({
      scheduler: this.#scheduler,
      network: this.#network,
      disk: this.#disk,
      random: new Prng(seed, 'node'),
      skew: this.#nodeSkew,
      tap: this.#tap,
      bus,
      watch: this.#watch,
      partitions,
      snapshotTailBytes,
      segmentBytes,
      historyBytesMax,
      batchTuplesMax,
      onBug: (error) => this.#record.bug(error),
      onFatal: (error) => {
        this.#record.note(`fatal ${error.message}`);
        this.crash('process', this.#random.between(5, 500));
      },
      onWarning: (message) => this.#record.note(`warning ${message}`),
    });
  }

  #boot(): void {
    if (this.#node.running || this.#booting) return;
    this.#booting = true;
    this.#record.note('boot');
    this.#record.recorder.fault('restart', { forMs: 0 });
    const process = this.#bootNode();
    // Parked: #bootNode catches everything itself.
    void process;
  }

  async #bootNode(): Promise<void> {
    const snapshots = this.#disk.files().some((name) => /^snapshots\/[^r]/.test(name));
    try {
      const booting = this.#node.boot();
      this.#booting = false;
      if (!(await booting)) return;
      if (snapshots) this.#record.count('a start from a snapshot');
      const torn = this.#disk.files().filter((name) => name.startsWith('log/torn-')).length;
      if (torn > this.#tornFiles) this.#record.count('a torn tail was trimmed');
      this.#tornFiles = torn;
      this.#record.note('serving');
    } catch (error) {
      this.#booting = false;
      const name = error instanceof Error ? error.name : '';
      if (name !== 'DiskError') {
        this.#record.bug(error);
        return;
      }
      this.#record.note(`boot failed ${String(error)}`);
      this.#node.crash(false);
      this.#after(300, () => this.#boot());
    }
  }

  #jumpWall(): void {
    const backwards = this.#random.chance(1, 2);
    const byMs = this.#random.between(1, this.#random.pick([2000, hourMs, 2 * hourMs]));
    this.#nodeSkew.wallOriginMs += backwards ? -byMs : byMs;
    this.#record.fault('wall clock jumped');
    this.#record.count('a stamp across a restart');
  }

  #sent(from: SimProcess): void {
    const armed = this.#crashArmed;
    if (armed?.at !== 'reply' || !from.name.startsWith('gateway')) return;
    this.#crashArmed = undefined;
    this.#after(0, () => this.crash('power', armed.downMs));
  }

  #freeDisk(): void {
    this.#disk.capacityBytes = Number.POSITIVE_INFINITY;
    this.#watch.diskFull = false;
  }

  // The course of a run.

  #scheduleFault(): void {
    const { faultEveryMs, faults } = this.settings;
    this.#after(this.#random.between(1, 2 * faultEveryMs), () => {
      if (!this.#working) return;
      const kind = pickFault(this.#random, faults);
      if (kind !== undefined) inflict(this, kind, this.#random);
      this.#scheduleFault();
    });
  }

  /** Nothing new is asked and nothing breaks; what can end, ends. */
  async #settle(): Promise<void> {
    this.#working = false;
    this.#crowd.stop();
    this.#crashArmed = undefined;
    this.#record.note('settle');
    this.#freeDisk();
    this.#disk.faults.slowSync = 0;
    const end = this.#scheduler.nowUs + settleMs * 1000;
    await this.#scheduler.run(end);
    this.#record.recorder.quiet();
    await this.#scheduler.run(end + 1000);
  }

  /** How long a call may take that nothing disturbs: some late messages, some syncs. */
  #wayMs(): number {
    const { bus, network, syncMsMax } = this.settings;
    const late = bus.lateOneIn === 0 ? 0 : bus.lateMsMax;
    return 150 + 4 * late + 10 * syncMsMax + (2 * network.lateUsMax) / 1000;
  }

  /** Now and then the invariants of one partition's rooms: all of them after every event would take days. */
  #verifyOne(): void {
    if (this.#scheduler.eventsRun % verifyEvery !== 0) return;
    const partition = this.#random.pick(this.#node.partitionIds());
    this.#node.host?.spaceOf(partition).verify();
  }

  #after(delayMs: number, run: () => void): void {
    this.#scheduler.after(delayMs * 1000, run);
  }
}

/** Runs one seed. */
export function runSeed(seed: number, options: RunOptions = {}): Promise<RunReport> {
  return new World(seed, options).run();
}
