/** Operations of one kind that are over and that the floor has not passed, and whether it is time. */
export class Overdue {
  readonly #patienceMs: number;
  #count = 0;
  /** Since when there are some, or when the floor passed one last. */
  #sinceMs = 0;

  /** `patienceMs`: how long the floor may stand before some of them. */
  constructor(patienceMs: number) {
    this.#patienceMs = patienceMs;
  }

  add(nowMs: number): void {
    if (this.#count === 0) this.#sinceMs = nowMs;
    this.#count += 1;
  }

  /** The floor has passed one. */
  passed(nowMs: number): void {
    this.#count -= 1;
    this.#sinceMs = nowMs;
  }

  isOver(nowMs: number): boolean {
    return this.#count > 0 && nowMs - this.#sinceMs >= this.#patienceMs;
  }
}
