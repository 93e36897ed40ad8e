/**
 * What became of every tuple: nothing acknowledged is lost, nothing comes from nowhere, nothing is
 * written twice, and at rest nothing stays handed over (PROTOCOL I3, I6, I7). Rests on answers
 * alone, not on what an observer saw.
 */
import type { Checker, FoundJson, History, Operation, Violation } from './history.ts';
import { receivedBy, sessionEndOf } from './history.ts';
import { matches, type TupleJson, uniqueOf } from './values.ts';

interface Fate {
  readonly unique: string;
  readonly tuple: TupleJson;
  readonly writer: Operation;
  leased: boolean;
  /** Whether it was acknowledged, surely not done, or neither. */
  readonly written: 'yes' | 'no' | 'unknown';
  readonly ids: Set<number>;
  readonly receivers: Operation[];
  surveyed: FoundJson | undefined;
  /** Somebody removed it, or may have. */
  removed: boolean;
}

function fatesOf(history: History): Map<string, Fate> {
  const fates = new Map<string, Fate>();
  const put = (
    writer: Operation,
    tuple: TupleJson,
    written: Fate['written'],
    id?: number,
  ): void => {
    const unique = uniqueOf(tuple);
    if (unique === undefined) return;
    const leased = writer.arguments.leaseMs !== undefined || writer.operation === 'replace';
    const ids = new Set(id === undefined ? [] : [id]);
    fates.set(unique, {
      unique,
      tuple,
      writer,
      leased,
      written,
      ids,
      receivers: [],
      surveyed: undefined,
      removed: false,
    });
  };
  for (const operation of history.operations) {
    const { operation: name, arguments: asked, outcome, result } = operation;
    if (name === 'write-many') {
      for (const [at, tuple] of (asked.tuples ?? []).entries()) {
        const one = result.outcomes?.[at];
        const failed = one?.failed !== undefined || outcome === 'failed';
        const written = one?.written !== undefined ? 'yes' : failed ? 'no' : 'unknown';
        put(operation, tuple, written, one?.written?.id);
      }
    } else if (asked.tuple !== undefined) {
      const written = outcome === 'ok' ? 'yes' : outcome === 'unknown' ? 'unknown' : 'no';
      put(operation, asked.tuple, written, result.written?.id);
    }
  }
  return fates;
}

class Conservation {
  readonly #history: History;
  readonly #fates: Map<string, Fate>;
  readonly violations: Violation[] = [];

  constructor(history: History) {
    this.#history = history;
    this.#fates = fatesOf(history);
  }

  run(): readonly Violation[] {
    for (const operation of this.#history.operations) this.#observe(operation);
    for (const operation of this.#history.operations) this.#remove(operation);
    for (const fate of this.#fates.values()) this.#judge(fate);
    return this.violations;
  }

  #observe(operation: Operation): void {
    const { result, operation: name } = operation;
    const seen = [...(result.found ?? []), ...(result.replaced ? [result.replaced] : [])];
    for (const found of seen) {
      const unique = uniqueOf(found.tuple);
      const fate = unique === undefined ? undefined : this.#fates.get(unique);
      if (fate === undefined) {
        this.#say(`tuple ${found.id} was never written`, operation);
        continue;
      }
      if (fate.writer.invoked > operation.completed) {
        this.#say(`${fate.unique} was seen before it was written`, operation);
      }
      fate.ids.add(found.id);
      if (name === 'survey') fate.surveyed = found;
    }
    for (const found of receivedBy(operation)) {
      this.#fates.get(uniqueOf(found.tuple) ?? '')?.receivers.push(operation);
    }
  }

  /** Marks what an operation removed without handing it over, or may have removed. */
  #remove(operation: Operation): void {
    const { operation: name, arguments: asked, outcome, result } = operation;
    if (outcome === 'failed' || outcome === 'nothing') return;
    if (name === 'cancel' && asked.tupleId !== undefined && result.cancelled !== false) {
      for (const fate of this.#fates.values()) {
        // Of an id that several forms had, the newest is meant; the older ones are marked already.
        if (fate.ids.has(asked.tupleId)) fate.removed = true;
      }
    }
    if (name === 'renew' && asked.leaseMs !== undefined) {
      for (const fate of this.#fates.values()) {
        if (asked.tupleId !== undefined && fate.ids.has(asked.tupleId)) fate.leased = true;
      }
    }
    if (name === 'replace') {
      const replaced = result.replaced && this.#fates.get(uniqueOf(result.replaced.tuple) ?? '');
      if (replaced) replaced.removed = true;
      if (outcome === 'unknown') this.#mayRemove(operation);
    }
    if (name.startsWith('take') && outcome === 'unknown' && asked.session === false) {
      this.#mayRemove(operation);
    }
  }

  #mayRemove(operation: Operation): void {
    const { template, version } = operation.arguments;
    for (const fate of this.#fates.values()) {
      const meant =
        version === undefined ? matches(template ?? null, fate.tuple) : fate.ids.has(version.id);
      if (meant) fate.removed = true;
    }
  }

  #judge(fate: Fate): void {
    const { unique, writer, surveyed, receivers } = fate;
    if (fate.ids.size > 1) this.#say(`${unique} has ${fate.ids.size} ids: written twice`, writer);
    const seen = surveyed !== undefined || receivers.length > 0;
    if (fate.written === 'no' && seen) this.#say(`${unique} is there and was refused`, writer);
    if (this.#history.quietAt === undefined) return;
    if (surveyed?.state === 'handed') this.#say(`${unique} stays handed over`, writer);
    const keeper = receivers.find(
      (each) => sessionEndOf(this.#history, each) === Number.POSITIVE_INFINITY,
    );
    if (surveyed !== undefined && keeper !== undefined) {
      this.#say(`${unique} is still there, and ${keeper.process} received it`, keeper);
    }
    if (fate.written !== 'yes' || seen || fate.removed || fate.leased) return;
    this.#say(`${unique} was acknowledged and is lost`, writer);
  }

  #say(message: string, operation: Operation): void {
    this.violations.push({ checker: 'conservation', message, operations: [operation.id] });
  }
}

/** Everything written is there, received, expired, cancelled or replaced. */
export const conservation: Checker = {
  name: 'conservation',
  check: (history) => new Conservation(history).run(),
};

/** I1: an application receives a tuple only if the session of each earlier receiver has ended. */
export const handOver: Checker = {
  name: 'hand-over',
  check(history) {
    const violations: Violation[] = [];
    const receipts = new Map<number, { operation: Operation; found: FoundJson }[]>();
    for (const operation of history.operations) {
      const ended = sessionEndOf(history, operation);
      const received = receivedBy(operation);
      if (received.length > 0 && operation.completed > ended) {
        const message = `${operation.process} received after its session had ended`;
        violations.push({ checker: 'hand-over', message, operations: [operation.id] });
      }
      for (const found of received) {
        const list = receipts.get(found.id);
        if (list === undefined) receipts.set(found.id, [{ operation, found }]);
        else list.push({ operation, found });
      }
    }
    for (const [id, list] of receipts) {
      list.sort((left, right) => left.operation.completed - right.operation.completed);
      for (const [at, later] of list.entries()) {
        for (const earlier of list.slice(0, at)) {
          const ended = mayHaveEnded(history, earlier.operation);
          const same = earlier.found.deliveries === later.found.deliveries;
          if (!same && ended <= later.operation.completed) continue;
          const message = `tuple ${id} (${uniqueOf(later.found.tuple)}) was handed to ${earlier.operation.process} and to ${later.operation.process}`;
          const operations = [earlier.operation.id, later.operation.id];
          violations.push({ checker: 'hand-over', message, operations });
        }
      }
    }
    return violations;
  },
};

/** The earliest time at which the session may have been over: the end, or the pause that led to it. */
function mayHaveEnded(history: History, receiver: Operation): number {
  const end = sessionEndOf(history, receiver);
  if (end === Number.POSITIVE_INFINITY) return end;
  const pause = history.faults.find(
    (fault) =>
      fault.fault === 'pause' &&
      fault.process === receiver.process &&
      fault.time <= end &&
      fault.time >= receiver.completed,
  );
  return Math.min(end, pause?.time ?? end);
}
