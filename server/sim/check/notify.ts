/** Notification: each stream is the committed history of what it asked for, without gap or repeat. */
import {
  type Checker,
  type Committed,
  comparePlaces,
  type EventJson,
  type History,
  type Stream,
  type Violation,
} from './history.ts';
import { matches } from './values.ts';

/** A stream that lags less than this at `quiet` has seen everything. */
const settleNs = 1_000_000_000;

function wanted(stream: Stream, event: EventJson): boolean {
  const { space, template, kinds } = stream.operation.arguments;
  if (event.space !== space) return false;
  if (kinds !== undefined && kinds.length > 0 && !kinds.includes(event.kind)) return false;
  if (matches(template ?? null, event.tuple)) return true;
  return event.old !== null && matches(template ?? null, event.old);
}

function placeOf(event: EventJson): string {
  return `${event.partition}:${event.revision}.${event.position}`;
}

/** Whether what a stream said of an event is so; it may say less. */
function sameEvent(original: EventJson, seen: EventJson): boolean {
  return (Object.keys(seen) as (keyof EventJson)[]).every(
    (key) => JSON.stringify(original[key]) === JSON.stringify(seen[key]),
  );
}

class StreamCheck {
  readonly #history: History;
  readonly #stream: Stream;
  readonly violations: Violation[] = [];

  constructor(history: History, stream: Stream) {
    this.#history = history;
    this.#stream = stream;
  }

  run(): readonly Violation[] {
    const seen = this.#seenByPartition();
    for (const [partition, committed] of this.#history.committed ?? []) {
      this.#partition(committed, seen.get(partition) ?? []);
    }
    return this.violations;
  }

  #seenByPartition(): Map<number, EventJson[]> {
    const byPartition = new Map<number, EventJson[]>();
    for (const { event } of this.#stream.events) {
      const list = byPartition.get(event.partition);
      if (list === undefined) {
        byPartition.set(event.partition, [event]);
        continue;
      }
      const before = list.at(-1);
      if (before !== undefined && comparePlaces(before, event) >= 0) {
        this.#say(`${placeOf(event)} came after ${placeOf(before)}`);
      }
      list.push(event);
    }
    return byPartition;
  }

  #partition(committed: readonly Committed[], seen: readonly EventJson[]): void {
    const expected = committed.filter(({ event }) => wanted(this.#stream, event));
    const places = new Map(expected.map((each, at) => [placeOf(each.event), at]));
    let first = Number.POSITIVE_INFINITY;
    let last = -1;
    for (const event of seen) {
      const at = places.get(placeOf(event));
      if (at === undefined) {
        this.#say(`${event.kind} at ${placeOf(event)} is not in what was asked for`);
        continue;
      }
      const original = expected[at]?.event;
      if (original !== undefined && !sameEvent(original, event)) {
        this.#say(`${placeOf(event)} differs from what was committed`);
      }
      if (at > last + 1 && last >= 0) this.#gap(expected, last + 1, at);
      first = Math.min(first, at);
      last = Math.max(last, at);
    }
    this.#ends(expected, first, last);
  }

  /** What was committed after the first cursor came, and well before the stream ended, must be there. */
  #ends(expected: readonly Committed[], first: number, last: number): void {
    const from = this.#stream.cursorAt ?? Number.POSITIVE_INFINITY;
    const { completed } = this.#stream.operation;
    const ended = this.#history.ends.get(this.#stream.operation.process) ?? completed;
    const quietAt = this.#history.quietAt ?? Number.NEGATIVE_INFINITY;
    const until = ended >= quietAt && completed >= quietAt ? quietAt - settleNs : 0;
    for (const { time, at } of expected.map((each, at) => ({ time: each.time, at }))) {
      const missedAtStart = time > from && at < first && last >= 0;
      const missedAtEnd = time > from && time < until && at > last;
      if (missedAtStart || missedAtEnd) {
        this.#gap(expected, at, at + 1);
        return;
      }
    }
  }

  #gap(expected: readonly Committed[], from: number, to: number): void {
    const place = expected[from];
    this.#say(`${to - from} event(s) from ${place ? placeOf(place.event) : '?'} on were not sent`);
  }

  #say(message: string): void {
    const operations = [this.#stream.operation.id];
    this.violations.push({ checker: 'notify', message, operations });
  }
}

/** Commit order, no gap, no repeat, events equal to the committed history. */
export const notify: Checker = {
  name: 'notify',
  check(history) {
    const violations: Violation[] = [];
    if (history.committed === undefined) return violations;
    for (const stream of history.streams) {
      if (stream.operation.arguments.observer === true) continue;
      violations.push(...new StreamCheck(history, stream).run());
    }
    return violations;
  },
};
