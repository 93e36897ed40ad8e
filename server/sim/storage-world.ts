/**
 * A node's storage alone: several lives of random work on a seeded disk, each ended by a power cut, a
 * crash or a stop, and at the end some flipped bits. Judged by three checkers: `prefix` (what a start
 * finds is what some number of writes left, all that were acknowledged among them), `refused` (an
 * undamaged folder starts) and `damage` (a damaged one is refused, or nothing is lost).
 */
import { InvariantError, present } from '../src/base/assert.ts';
import { LogDamaged } from '../src/storage/damage.ts';
import type { OpenedStorage } from '../src/storage/storage.ts';
import type { Violation } from './check/history.ts';
import { bump, type Counts } from './coverage.ts';
import { World } from './disk-world.ts';
import type { RunReport } from './run-record.ts';
import { StorageModel } from './storage-model.ts';
import { StorageWorkload } from './storage-workload.ts';
import { Trace } from './trace.ts';

const lives = 8;
const turnsMax = 60;
const flips = 4;

/** Runs one seed; `print` is told of each noted line. */
export async function runStorageSeed(
  seed: number,
  print?: (line: string) => void,
): Promise<RunReport> {
  const run = new Run(seed, new Trace(print));
  try {
    await run.run();
  } catch (error) {
    if (error instanceof LogDamaged) run.accuse('refused', error.message);
    else if (error instanceof InvariantError) run.accuse('invariant', error.stack ?? error.message);
    else throw error;
  }
  return run.report();
}

class Run {
  readonly #seed: number;
  readonly #trace: Trace;
  readonly #world: World;
  readonly #model = new StorageModel();
  readonly #work: StorageWorkload;
  readonly #counts: Counts = new Map();
  readonly #violations: Violation[] = [];

  constructor(seed: number, trace: Trace) {
    this.#seed = seed;
    this.#trace = trace;
    this.#world = new World(seed, { delays: { writeMs: [0.01, 0.4], syncMs: [0.1, 1.5] } });
    this.#world.disk.faults.slowSync = 0.01;
    this.#work = new StorageWorkload(this.#world, this.#model);
  }

  async run(): Promise<void> {
    for (let life = 0; life < lives; life++) {
      const opened = await this.#start();
      await this.#judge(opened);
      if (this.#violations.length > 0) return;
      this.#model.adopt();
      await this.#live(opened, { rests: life === lives - 1 });
      if (this.#work.broken !== undefined) throw this.#work.broken;
    }
    for (let count = 0; count < flips; count++) await this.#flip();
  }

  accuse(checker: string, message: string): void {
    this.#trace.note(`violation ${message}`);
    this.#violations.push({ checker, message, operations: [] });
  }

  report(): RunReport {
    const { disk, time } = this.#world;
    const { counts: done } = this.#work;
    const { counts: met } = disk;
    const add = (name: string, count: number): void => bump(this.#counts, name, count);
    add('power cut', met.powerCuts);
    add('process crash', met.processCrashes);
    add('torn write', met.tornWrites);
    add('lost write', met.lostWrites);
    add('lost name', met.lostNames);
    add('slow sync', met.slowSyncs);
    add('disk error', met.ioErrors);
    add('disk full', met.fullErrors);
    add('a tail was replaced', done.replacedTails);
    add('a write that no frame holds', done.largeBatches);
    add('a snapshot was cut', done.snapshots);
    add('a snapshot from elsewhere beyond the log', done.installedBeyond);
    add('a snapshot from elsewhere against another term', done.installedAgainst);
    add('a snapshot from elsewhere within the log', done.installedWithin);
    add('a replica was buried', done.buried);
    add('a replica began where another had ended', done.begunAnew);
    return {
      seed: this.#seed,
      hash: this.#trace.hash,
      operations: done.acknowledged,
      events: time.eventsRun,
      virtualMs: time.clock.monotonicMs(),
      counts: this.#counts,
      violations: this.#violations,
    };
  }

  /** Starts, sometimes with power cuts during the start itself. */
  async #start(): Promise<OpenedStorage> {
    const world = this.#world;
    for (;;) {
      if (this.#below(5) > 0) return await world.openStorage();
      // Whoever waits for this start is gone with the power.
      let error: unknown;
      world.openingStorage().catch((reason: unknown) => {
        error = reason;
      });
      const steps = this.#below(40);
      for (let step = 0; step < steps; step++) await world.time.step();
      if (error !== undefined) throw error;
      bump(this.#counts, 'power cut during a start');
      world.crash();
    }
  }

  async #judge(opened: OpenedStorage): Promise<void> {
    const { time, disk } = this.#world;
    const found = await time.until(this.#model.found(opened, disk.files()));
    this.#trace.note(found);
    for (const warning of opened.warnings) {
      if (warning.includes('were trimmed')) bump(this.#counts, 'a torn tail was trimmed');
    }
    const allowed = this.#model.allowed();
    if (!allowed.includes(found)) {
      this.accuse('prefix', `found ${found}, allowed ${allowed.join(' | ')}`);
    }
  }

  /** A life of random length, ended in one of the ways in which lives end. */
  async #live({ storage }: OpenedStorage, { rests }: { readonly rests: boolean }): Promise<void> {
    const { disk, time, fatal } = this.#world;
    const turns = this.#below(turnsMax);
    for (let turn = 0; turn < turns && fatal.length === 0; turn++) {
      if (this.#below(6) === 0) {
        // What is cut into a snapshot is durable, so the disk must come to rest for it.
        await time.run(8);
        this.#work.manageRandom(storage);
      }
      this.#work.appendRandom(storage);
      if (!rests) await this.#trouble();
    }
    disk.capacityBytes = Number.POSITIVE_INFINITY;
    if (rests) await time.run(5_000);
    else if (this.#below(10) === 0 && fatal.length === 0 && !this.#work.isBusy) {
      await time.until(storage.close());
    }
    if (this.#below(4) === 0) {
      disk.kill();
      time.forget();
    } else this.#world.crash();
    fatal.length = 0;
    this.#work.forget();
  }

  async #trouble(): Promise<void> {
    const { disk, time } = this.#world;
    if (this.#below(60) === 0) disk.failNext(this.#below(2) === 0 ? 'write' : 'sync', 'io');
    if (this.#below(40) === 0) disk.capacityBytes = disk.usedBytes() + this.#below(100_000);
    if (this.#below(20) === 0) disk.capacityBytes = Number.POSITIVE_INFINITY;
    if (this.#below(3) > 0) await time.run(this.#below(40) / 10);
    if (this.#below(30) === 0) await time.run(1200);
  }

  /** A bit of a folder at rest, in a copy of it. */
  async #flip(): Promise<void> {
    const world = this.#world;
    const { disk } = world;
    const files = disk.files().filter((name) => !name.endsWith('reserve') && name !== 'lock');
    const file = present(files[this.#below(files.length)], 'a file');
    world.disk = disk.copy({ schedule: world.time.schedule, random: world.random });
    bump(this.#counts, 'bit flip');
    try {
      const size = present(world.disk.contents(file), 'its bytes').length;
      // Mostly where something was written: segments are zeros at their end.
      world.disk.flipBit(
        file,
        this.#below(this.#below(2) === 0 ? size : Math.min(size, 20_000)),
        1,
      );
      const opened = await world.openStorage();
      const found = await world.time.until(this.#model.found(opened, world.disk.files()));
      if (found !== this.#model.digest())
        this.accuse('damage', `after a flip in ${file}: ${found}`);
      const isOlder = opened.warnings.some((warning) => warning.includes('an older one is used'));
      bump(this.#counts, isOlder ? 'an older snapshot was used' : 'a flipped bit did no harm');
    } catch (error) {
      if (!(error instanceof LogDamaged)) throw error;
      bump(this.#counts, 'damage was refused');
    } finally {
      world.crash();
      world.disk = disk;
    }
  }

  #below(count: number): number {
    return this.#world.random.uint32() % count;
  }
}
