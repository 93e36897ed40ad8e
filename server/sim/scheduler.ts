/**
 * Virtual time: a queue of events in whole microseconds. Events of one instant run in an order that
 * the seed chooses, and between two events everything that promises have made ready is run to its
 * end, so that a run depends on its seed alone.
 */
import { assert, present } from '../src/base/assert.ts';
import type { Cancel, Clock } from '../src/base/doors.ts';
import { Prng } from '../src/base/prng.ts';

interface ScheduledEvent {
  atUs: number;
  /** Chosen by the seed: the order within one instant. */
  tie: number;
  /** Order of scheduling, where even the ties are equal. */
  number: number;
  readonly owner: SimProcess | undefined;
  run: (() => void) | undefined;
  /** Whether its process was paused when its time came. */
  isDeferred: boolean;
}

function before(left: ScheduledEvent, right: ScheduledEvent): boolean {
  if (left.atUs !== right.atUs) return left.atUs < right.atUs;
  if (left.tie !== right.tie) return left.tie < right.tie;
  return left.number < right.number;
}

/** The virtual clock and its queue of events. */
export class Scheduler {
  readonly #ties: Prng;
  // Invariant: a binary heap under `before`.
  readonly #heap: ScheduledEvent[] = [];
  #nowUs = 0;
  #scheduled = 0;
  #run = 0;
  /** Called after each event, with everything it made ready done. */
  afterEvent: (() => void) | undefined;

  constructor(seed: number) {
    this.#ties = new Prng(seed, 'ties');
  }

  /** Microseconds since the run began. */
  get nowUs(): number {
    return this.#nowUs;
  }

  /** Milliseconds since the run began. */
  get nowMs(): number {
    return this.#nowUs / 1000;
  }

  /** How many events have run. */
  get eventsRun(): number {
    return this.#run;
  }

  /** Runs `run` once, `delayUs` (0 or more) from now. `owner`: not while it is paused, never once it is dead. */
  after(delayUs: number, run: () => void, owner?: SimProcess): Cancel {
    assert(delayUs >= 0, 'an event lies in the future');
    const event: ScheduledEvent = {
      atUs: this.#nowUs + Math.ceil(delayUs),
      tie: this.#ties.uint32(),
      number: this.#scheduled++,
      owner,
      run,
      isDeferred: false,
    };
    this.#push(event);
    return () => {
      event.run = undefined;
    };
  }

  /** Runs events until `done()` holds, until `untilUs`, or until there is none; says which. */
  async run(untilUs: number, done: () => boolean = () => false): Promise<'done' | 'time' | 'idle'> {
    await settled();
    for (;;) {
      const next = this.#next(untilUs, done);
      if (typeof next === 'string') return next;
      this.#begin(next)();
      await settled();
      this.afterEvent?.();
    }
  }

  /** Like `run`, for worlds without promises: nothing is waited for between two events. */
  runNow(untilUs: number, done: () => boolean = () => false): 'done' | 'time' | 'idle' {
    for (;;) {
      const next = this.#next(untilUs, done);
      if (typeof next === 'string') return next;
      this.#begin(next)();
      this.afterEvent?.();
    }
  }

  /** The event that is to run now, or why none is. */
  #next(untilUs: number, done: () => boolean): ScheduledEvent | 'done' | 'time' | 'idle' {
    for (;;) {
      if (done()) return 'done';
      const next = this.#heap[0];
      if (next === undefined) return 'idle';
      if (next.atUs > untilUs) {
        this.#nowUs = untilUs;
        return 'time';
      }
      this.#pop();
      if (!this.#deferred(next) && next.run !== undefined) return next;
    }
  }

  #begin(event: ScheduledEvent): () => void {
    this.#nowUs = event.atUs;
    this.#run++;
    const run = present(event.run, 'an event that begins was not cancelled');
    event.run = undefined;
    return run;
  }

  /** Whether the event's process cannot run it now; then it is dropped, or queued for the end of the pause. */
  #deferred(event: ScheduledEvent): boolean {
    const owner = event.owner;
    if (owner === undefined) return false;
    if (!owner.alive) return true;
    if (owner.pausedUntilUs <= event.atUs) return false;
    // What piles up comes by here in order, and runs in that order when the process goes on; also where the
    // pause was made longer meanwhile, and it comes by again, behind what came later.
    event.atUs = owner.pausedUntilUs;
    if (!event.isDeferred) {
      event.isDeferred = true;
      event.tie = 0;
      event.number = this.#scheduled++;
    }
    this.#push(event);
    return true;
  }

  #push(event: ScheduledEvent): void {
    const heap = this.#heap;
    let at = heap.length;
    heap.push(event);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const above = present(heap[parent], 'a heap has no holes');
      if (!before(event, above)) break;
      heap[at] = above;
      at = parent;
    }
    heap[at] = event;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      let below = heap[child];
      if (below === undefined) break;
      const right = heap[child + 1];
      if (right !== undefined && before(right, below)) {
        child++;
        below = right;
      }
      if (!before(below, last)) break;
      heap[at] = below;
      at = child;
    }
    heap[at] = last;
  }
}

/** Resolves when no promise is left that could go on by itself: the microtask queue is empty. */
function settled(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}

/** How one process sees time. */
export interface ClockSkew {
  /** Speed of the monotonic clock in parts per million off the true one. */
  readonly driftPpm: number;
  /** What the wall clock shows when the run begins, in ms since 1970; may be changed. */
  wallOriginMs: number;
}

/** One simulated process: what it has scheduled ends with it, and waits while it is paused. */
export class SimProcess {
  readonly name: string;
  readonly scheduler: Scheduler;
  readonly skew: ClockSkew;
  #alive = true;
  #pausedUntilUs = 0;

  constructor(scheduler: Scheduler, name: string, skew: ClockSkew) {
    this.scheduler = scheduler;
    this.name = name;
    this.skew = skew;
  }

  /** Whether it has not been killed. */
  get alive(): boolean {
    return this.#alive;
  }

  /** Until when nothing of it runs. */
  get pausedUntilUs(): number {
    return this.#pausedUntilUs;
  }

  /** SIGKILL: nothing of it ever runs again. */
  kill(): void {
    this.#alive = false;
  }

  /** SIGSTOP, and SIGCONT after `forMs`. Its clocks go on. */
  pause(forMs: number): void {
    this.#pausedUntilUs = Math.max(
      this.#pausedUntilUs,
      this.scheduler.nowUs + Math.ceil(forMs * 1000),
    );
  }

  /** Schedules in this process. */
  after(delayUs: number, run: () => void): Cancel {
    return this.scheduler.after(delayUs, run, this);
  }

  /** The Clock door of this process. */
  get clock(): Clock {
    const rate = 1 + this.skew.driftPpm / 1_000_000;
    return {
      monotonicMs: () => this.scheduler.nowMs * rate,
      wallMs: () => Math.floor(this.skew.wallOriginMs + this.scheduler.nowMs * rate),
      after: (delayMs, run) => this.after(Math.max(0, delayMs * 1000) / rate, run),
      soon: (run) => {
        // The end of a turn: after the events already queued for this instant.
        this.after(1, run);
      },
    };
  }
}
