/** A partition's leader over a real Space and a log whose tail can be lost: the bed of tests. */
import {
  compileTemplate,
  encodeTemplate,
  encodeTuple,
  encodeValue,
  isProblem,
  type MatcherSpec as Matcher,
  type Template,
  type Value,
} from '@tuplet/proto';
import { assert } from '../base/assert.ts';
import type {
  Attempt,
  LogIndex,
  PartitionId,
  Sequence,
  SessionId,
  Slot,
  SpaceId,
  StampMs,
  Term,
  TupleId,
} from '../base/ids.ts';
import type { Command, Entry, NewTuple, SessionOperation } from '../space/command.ts';
import type { StoredTuple } from '../space/outcome.ts';
import { Space } from '../space/space.ts';
import { Leader } from './leader.ts';
import type {
  BetweenLeaders,
  Change,
  CoordinatorId,
  FromLeader,
  Mutate,
  Query,
  Read,
  Register,
  Take,
  ToLeader,
} from './messages.ts';
import type { LeaderLimits, LeaderPorts } from './ports.ts';

/** The space and the slot that tests use unless they say otherwise. */
export const testSpace: SpaceId = 1 as SpaceId;
export const testSlot: Slot = 7 as Slot;

/** A message of one kind, as it left a leader. */
export type Said<K extends FromLeader['kind']> = FromLeader & { readonly kind: K };

/** One partition: its space, its present leader, its log, and what left it. */
export class Group {
  readonly partition: PartitionId;
  readonly space: Space;
  epoch: Term = 0 as Term;
  leader: Leader | undefined;
  /** Entries proposed and not applied, in log order. */
  pending: { readonly index: LogIndex; readonly entry: Entry }[] = [];
  readonly said: { readonly to: CoordinatorId; readonly message: FromLeader }[] = [];
  readonly between: { readonly to: PartitionId; readonly message: BetweenLeaders }[] = [];
  /** Confirmations asked for, where they are held back (L3). */
  readonly confirmations: (() => void)[] = [];
  holdsConfirmations = false;
  /** False: the disk is full. */
  admitsData = true;
  /** Proposals in flight beyond which nothing resumes. */
  inFlightMax: number = Number.POSITIVE_INFINITY;
  nowMs = 1_000;
  readonly #limits: Partial<LeaderLimits>;
  /** Hears of each applied entry. */
  onApplied: ((command: Command) => void) | undefined;

  constructor(partition: number, limits: Partial<LeaderLimits> = {}) {
    this.partition = partition as PartitionId;
    this.#limits = limits;
    this.space = new Space({ partition: this.partition });
  }

  /** The stamp of an entry made now: here the clocks are one. */
  get stampMs(): StampMs {
    return Math.max(this.space.stampMs, this.nowMs) as StampMs;
  }

  /**
   * A new leadership. The first `kept` entries in flight are in its log and applied without an
   * answer (L2); the others are lost.
   */
  elect(kept = 0, serve = true): void {
    this.leader?.stepDown();
    const found = this.pending.slice(0, kept);
    this.pending = [];
    for (const { index, entry } of found) this.#apply(index, entry);
    this.epoch = (this.epoch + 1) as Term;
    const leader = new Leader({
      partition: this.partition,
      epoch: this.epoch,
      space: this.space,
      ports: this.#ports(this.epoch),
      limits: this.#limits,
    });
    this.leader = leader;
    const lead = { stampMs: this.stampMs, command: { kind: 'lead' } } satisfies Entry;
    this.#apply((this.space.appliedIndex + 1) as LogIndex, lead);
    if (serve) leader.serve(this.nowMs);
  }

  receive(from: number, message: ToLeader): void {
    this.leader?.receive(from, message, this.nowMs);
  }

  receiveLeader(message: BetweenLeaders): void {
    this.leader?.receiveLeader(message, this.nowMs);
  }

  /** Applies the first `count` entries in flight, and ends the turn. Returns how many there were. */
  commit(count: number = this.pending.length): number {
    let applied = 0;
    for (; applied < count; applied += 1) {
      const next = this.pending.shift();
      if (next === undefined) break;
      const { index, entry } = next;
      const outcome = this.#apply(index, entry);
      this.leader?.applied(index, entry.command, outcome, this.nowMs);
    }
    this.leader?.flush(this.nowMs);
    return applied;
  }

  /** Commits until nothing is in flight. */
  settle(): void {
    this.leader?.flush(this.nowMs);
    for (let turns = 0; this.pending.length > 0; turns += 1) {
      assert(turns < 10_000, 'a partition comes to rest');
      this.commit();
    }
  }

  /** Lets time pass, in ticks of 10 ms at most. */
  pass(ms: number): void {
    for (let left = ms; left > 0; left -= 10) {
      this.nowMs += Math.min(10, left);
      this.leader?.tick(this.nowMs);
    }
  }

  /** What was said since the last call, of one kind. */
  take<K extends FromLeader['kind']>(kind: K): Said<K>[] {
    const found: Said<K>[] = [];
    for (let i = 0; i < this.said.length; ) {
      const { message } = this.said[i] as { readonly message: FromLeader };
      if (message.kind !== kind) i += 1;
      else {
        found.push(message as Said<K>);
        this.said.splice(i, 1);
      }
    }
    return found;
  }

  /** The kinds of everything said since the last call. */
  kinds(): string[] {
    return this.said.splice(0).map(({ message }) => message.kind);
  }

  /** Commands in flight. */
  get proposed(): Command[] {
    return this.pending.map(({ entry }) => entry.command);
  }

  #apply(index: LogIndex, entry: Entry): ReturnType<Space['apply']> {
    const outcome = this.space.apply(index, entry);
    this.onApplied?.(entry.command);
    return outcome;
  }

  #ports(epoch: Term): LeaderPorts {
    return {
      propose: (command) => {
        assert(epoch === this.epoch, 'only the present leader proposes');
        const index = (this.space.appliedIndex + this.pending.length + 1) as LogIndex;
        this.pending.push({ index, entry: { stampMs: this.stampMs, command } });
        return index;
      },
      send: (to, message) => this.said.push({ to, message }),
      sendLeader: (to, message) => this.between.push({ to, message }),
      admitsData: () => this.admitsData,
      hasRoom: () => this.pending.length < this.inFlightMax,
      stampMs: () => this.stampMs,
      confirm: (run) => {
        if (this.holdsConfirmations) this.confirmations.push(run);
        else run();
      },
    };
  }
}

/** A group with a serving leader. */
export function newGroup(partition = 1, limits: Partial<LeaderLimits> = {}): Group {
  const group = new Group(partition, limits);
  group.elect();
  return group;
}

/** A group whose leader knows a session, which is returned. */
export function withSession(group: Group, counter = 1): SessionId {
  const session = (9 * 2 ** 44 + counter) as SessionId;
  applyDirectly(group, { kind: 'know', session });
  return session;
}

/** A session opened at this group as its home, and not yet known to it. */
export function openSession(group: Group, leaseMs = 10_000): SessionId {
  group.receive(98, { kind: 'open-session', call: 1, leaseMs, name: '' });
  group.settle();
  const [said] = group.take('session-opened');
  assert(said !== undefined, 'a session is opened');
  return said.session;
}

/** Delivers what leaders say to each other until nothing is under way. */
export function talk(...groups: readonly Group[]): void {
  for (let turns = 0; turns < 100; turns += 1) {
    const messages = groups.flatMap((group) => group.between.splice(0));
    for (const group of groups) group.settle();
    if (messages.length === 0 && groups.every(({ between }) => between.length === 0)) return;
    for (const { to, message } of messages) {
      groups.find(({ partition }) => partition === to)?.receiveLeader(message);
    }
  }
}

/** Puts an entry into the log that nobody waits for. */
export function applyDirectly(group: Group, command: Command): void {
  const index = (group.space.appliedIndex + group.pending.length + 1) as LogIndex;
  group.pending.push({ index, entry: { stampMs: group.stampMs, command } });
  group.settle();
}

export const any: Matcher = { kind: 'any' };

/** Fields that are matchers stay; values become actual ones. */
export function template(...fields: readonly (Value | Matcher)[]): Template {
  return union([fields]);
}

/** A template of several alternatives. */
export function union(alternatives: readonly (readonly (Value | Matcher)[])[]): Template {
  const spec = alternatives.map((fields) => ({ matchers: fields.map(matcherOf) }));
  const compiled = compileTemplate(encodeTemplate(spec));
  assert(!isProblem(compiled), 'a test writes valid templates');
  return compiled;
}

function matcherOf(field: Value | Matcher): Matcher {
  const isMatcher = typeof field === 'object' && field !== null && 'kind' in field;
  return isMatcher ? (field as Matcher) : { kind: 'actual', value: field as Value };
}

/** Numbers from `lower` to `upper`, both inclusive; undefined: open. */
export function range(lower?: number, upper?: number): Matcher {
  return {
    kind: 'range',
    ...(lower === undefined ? {} : { lower: { value: lower } }),
    ...(upper === undefined ? {} : { upper: { value: upper } }),
  };
}

export function newTuple(...fields: readonly Value[]): NewTuple {
  return { slot: testSlot, bytes: encodeTuple(fields), leaseMs: undefined };
}

export function query(matching: Template, more: Partial<Query> = {}): Query {
  return { space: testSpace, template: matching, max: 1, min: 1, ...more };
}

export function operation(
  session: SessionId,
  sequence: number,
  { attempt = 1, floor = 1 }: { readonly attempt?: number; readonly floor?: number } = {},
): SessionOperation {
  return {
    kind: 'session',
    session,
    sequence: sequence as Sequence,
    attempt: attempt as Attempt,
    floor: floor as Sequence,
  };
}

export function take(
  group: Group,
  op: SessionOperation,
  matching: Template,
  more: Partial<Take> = {},
): Take {
  return {
    kind: 'take',
    call: op.sequence,
    operation: op,
    epoch: group.epoch,
    m: 1,
    query: query(matching),
    waitEnded: false,
    cancelled: false,
    ...more,
  };
}

export function register(op: SessionOperation, matching: Template, r = 1): Register {
  return { kind: 'register', call: op.sequence, operation: op, r, query: query(matching) };
}

export function mutate(
  group: Group,
  op: SessionOperation | undefined,
  change: Change,
  more: Partial<Mutate> = {},
): Mutate {
  const call = op === undefined ? 1_000_000 : op.sequence;
  return { kind: 'mutate', call, operation: op, epoch: group.epoch, m: 1, change, ...more };
}

export function write(
  group: Group,
  op: SessionOperation | undefined,
  ...tuples: readonly NewTuple[]
): Mutate {
  return mutate(group, op, { kind: 'write', space: testSpace, tuples });
}

export function read(call: number, matching: Template, more: Partial<Read> = {}): Read {
  return {
    kind: 'read',
    call,
    m: 1,
    query: query(matching),
    states: ['ready'],
    waitEnded: false,
    cancelled: false,
    ...more,
  };
}

/** Writes without identity, and applies it; returns the ids. */
export function put(group: Group, ...tuples: readonly NewTuple[]): TupleId[] {
  group.receive(99, write(group, undefined, ...tuples));
  group.settle();
  const at = group.said.findIndex(({ message }) => message.call === 1_000_000);
  const [{ message: said } = { message: undefined }] = group.said.splice(at, 1);
  assert(said?.kind === 'result', 'a write without identity is answered');
  assert(said.result.kind === 'written', 'it writes');
  return said.result.tuples.map(({ id }) => id);
}

/** The tuples of a result that handed some over. */
export function handed(said: Said<'result'> | undefined): readonly StoredTuple[] {
  return said?.result.kind === 'handed' ? said.result.tuples : [];
}

export function storedInt(value: bigint | number): Uint8Array {
  return encodeValue(value);
}
