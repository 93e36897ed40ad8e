/** The disk of one replica: writes in order, one sync at a time, and what a crash leaves of them. */
import { present } from '../../src/base/assert.ts';
import type { Prng } from '../../src/base/prng.ts';
import { MemoryStorage } from '../../src/raft/memory-storage.ts';
import type { HardState, Snapshot } from '../../src/raft/message.ts';
import type { AppendWork } from '../../src/raft/ready.ts';

/** What became of the writes that no sync had confirmed. */
export interface CrashOutcome {
  readonly unconfirmed: number;
  /** They were on the disk all the same: a prefix of them. */
  readonly survived: number;
  /** The one after those was written in part; its bad frame is trimmed at the start. */
  readonly torn: boolean;
}

/** See the top of the file. What is durable is in `storage`; nothing else outlives a crash. */
export class RaftDisk {
  readonly storage: MemoryStorage = new MemoryStorage();
  hardState: HardState = { term: 0, vote: 0, commit: 0 };
  #pending: AppendWork[] = [];
  #syncing = 0;

  /** A disk that begins with a snapshot. */
  format(start: Snapshot): void {
    if (start.index === 0) return;
    this.storage.install(start);
    this.#keepHardState({ term: start.term, vote: 0, commit: start.index });
  }

  get isIdle(): boolean {
    return this.#pending.length === 0;
  }

  write(work: AppendWork): void {
    this.#pending.push(work);
  }

  /** A sync of everything written so far begins; false: there is nothing, or one is under way. */
  beginSync(): boolean {
    if (this.#syncing > 0 || this.#pending.length === 0) return false;
    this.#syncing = this.#pending.length;
    return true;
  }

  /** The sync ends: those writes are durable, in their order, each before the next is told. */
  endSync(durable: (work: AppendWork) => void): void {
    const count = this.#syncing;
    this.#syncing = 0;
    for (let at = 0; at < count; at += 1) {
      const work = present(this.#pending.shift(), 'what is synced was written');
      this.#keep(work);
      durable(work);
    }
  }

  /** The machine stops: of what no sync confirmed, a prefix may be there. */
  crash(random: Prng): CrashOutcome {
    const unconfirmed = this.#pending.length;
    const survived = random.chance(1, 2) ? 0 : random.between(0, unconfirmed);
    for (const work of this.#pending.slice(0, survived)) this.#keep(work);
    const torn = survived < unconfirmed && random.chance(1, 2);
    this.#pending = [];
    this.#syncing = 0;
    return { unconfirmed, survived, torn };
  }

  #keep({ hardState, entries, snapshot }: AppendWork): void {
    if (hardState !== null) this.#keepHardState(hardState);
    if (snapshot !== null) this.storage.install(snapshot);
    this.storage.append(entries);
  }

  #keepHardState(hardState: HardState): void {
    this.hardState = hardState;
    this.storage.setHardState(hardState);
  }
}
