/** A progress bar that redraws itself on a terminal, and prints every tenth elsewhere. */
export class Progress {
  readonly #total: number;
  #shown = -1;
  #done = 0;

  constructor(total: number) {
    this.#total = total;
  }

  /** Shows that `done` of the total are done. */
  show(done: number): void {
    this.#done = done;
    if (process.stdout.isTTY) {
      process.stdout.write(`\r${this.#bar()}`);
      if (done === this.#total) process.stdout.write('\n');
      return;
    }
    const tenth = Math.floor((done * 10) / this.#total);
    if (tenth === this.#shown) return;
    this.#shown = tenth;
    process.stdout.write(`${this.#bar()}\n`);
  }

  /** Prints a line above the bar. */
  say(line: string): void {
    if (process.stdout.isTTY) process.stdout.write(`\r${line.padEnd(60)}\n${this.#bar()}`);
    else process.stdout.write(`${line}\n`);
  }

  #bar(): string {
    const width = 40;
    const full = Math.floor((this.#done * width) / this.#total);
    return `[${'#'.repeat(full)}${'.'.repeat(width - full)}] ${this.#done}/${this.#total} tiles`;
  }
}
