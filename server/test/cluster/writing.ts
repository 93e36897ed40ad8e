import type { Space } from '@tuplet/client';

/** Counts what has been done, and tells who waits for more of it. */
export class Progress {
  count = 0;
  readonly #waiting: { readonly count: number; readonly done: () => void }[] = [];

  add(): void {
    this.count += 1;
    for (const { count, done } of this.#waiting) if (count === this.count) done();
  }

  /** Resolves when so many more are done. */
  more(count: number): Promise<void> {
    return new Promise((done) => this.#waiting.push({ count: this.count + count, done }));
  }
}

/** Writes to forty tags in turn, one after the other, until it is ended. */
export class Writer {
  readonly written: Progress = new Progress();
  /** Milliseconds of the slowest write. */
  slowestMs = 0;
  #isOver = false;
  readonly #writing: Promise<void>;

  constructor(space: Space) {
    this.#writing = this.#write(space);
  }

  /** Milliseconds of the slowest write. */
  async end(): Promise<number> {
    this.#isOver = true;
    await this.#writing;
    return Math.round(this.slowestMs);
  }

  async #write(space: Space): Promise<void> {
    for (let each = 0; !this.#isOver; each += 1) {
      const begunMs = performance.now();
      await space.write([`tag-${each % 40}`, each]);
      this.slowestMs = Math.max(this.slowestMs, performance.now() - begunMs);
      this.written.add();
    }
  }
}
