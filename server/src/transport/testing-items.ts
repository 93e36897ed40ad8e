/** Random items of every kind, for tests. Whoever adds a kind is told here by the compiler. */
import {
  compileTemplate,
  encodeTemplate,
  encodeTuple,
  encodeValue,
  floatOf,
  isProblem,
  type MatcherSpec,
  type Template,
  type TemplateSpec,
  type Value,
} from '@tuplet/proto';
import type {
  Attempt,
  GroupId,
  LogIndex,
  NodeId,
  PartitionId,
  Sequence,
  SessionId,
  Slot,
  SpaceId,
  StampMs,
  Term,
  TupleId,
} from '../base/ids.ts';
import { durationMsMax } from '../base/limits.ts';
import type { Prng } from '../base/prng.ts';
import type { MapOutcome, SpaceRecord, SpaceSettings } from '../cluster/map-command.ts';
import type { NodeDescription, PlacementCommand } from '../cluster/placement-types.ts';
import type {
  Answer,
  BetweenLeaders,
  Change,
  FromLeader,
  Query,
  ToLeader,
} from '../coordination/messages.ts';
import type { NewTuple, Operation, SessionOperation } from '../space/command.ts';
import type { EventPlace } from '../space/history.ts';
import type { Refusal, Result, StoredTuple } from '../space/outcome.ts';
import type { CoordinationItem } from './coordination-codec.ts';
import type { HistoryOutcome } from './history-codec.ts';
import type { SpaceCommand } from './map-call-codec.ts';
import type { States } from './query-codec.ts';

/** For each kind of a union, how one of it is made up. */
type Makers<U extends { readonly kind: string }> = {
  readonly [K in U['kind']]: (prng: Prng) => Extract<U, { readonly kind: K }>;
};

/** A number from 1, of any length. */
export function wide<T extends number>(prng: Prng): T {
  if (prng.chance(1, 2)) return prng.between(1, 300) as T;
  if (prng.chance(1, 20)) return Number.MAX_SAFE_INTEGER as T;
  const upper = Math.floor(prng.uint32() / 2 ** prng.between(12, 32));
  return (upper * 2 ** 32 + prng.uint32() + 1) as T;
}

const orZero = (prng: Prng): number => (prng.chance(1, 4) ? 0 : wide(prng));
const place = (prng: Prng): EventPlace => ({
  revision: orZero(prng) as LogIndex,
  position: prng.chance(1, 3) ? 0 : prng.between(0, 70_000),
});
const flag = (prng: Prng): boolean => prng.chance(1, 2);
const duration = (prng: Prng): number => prng.pick([1, 1_000, durationMsMax, prng.between(1, 1e6)]);
const partition = (prng: Prng): PartitionId => prng.between(1, 256) as PartitionId;
const space = (prng: Prng): SpaceId => prng.pick([1, prng.between(1, 2 ** 32 - 1)]) as SpaceId;
const some = <T>(prng: Prng, make: (prng: Prng) => T): T[] =>
  Array.from({ length: prng.between(0, 3) }, () => make(prng));
const maybe = <T>(prng: Prng, make: (prng: Prng) => T): T | undefined =>
  prng.chance(1, 2) ? make(prng) : undefined;
const several = <T>(prng: Prng, least: number, make: (prng: Prng) => T): T[] =>
  Array.from({ length: prng.between(least, least + 3) }, () => make(prng));

function word(prng: Prng): string {
  const length = prng.chance(1, 20) ? 4_000 : prng.below(12);
  return Array.from({ length }, () => prng.pick(['a', 'é', '√', '𝄞', '0'])).join('');
}

const shortWord = (prng: Prng): string => [...word(prng)].slice(0, 20).join('');

function value(prng: Prng): Value {
  return prng.pick<() => Value>([
    () => word(prng),
    () => prng.below(2 ** 31) - 2 ** 30,
    () => floatOf(prng.below(100) / 8),
    () => flag(prng),
    () => Uint8Array.from({ length: prng.below(40) }, () => prng.below(256)),
    () => [1, word(prng)],
  ])();
}

/** Bytes of a tuple. */
export function tupleBytes(prng: Prng): Uint8Array {
  return encodeTuple(several(prng, 1, value));
}

function matcher(prng: Prng): MatcherSpec {
  return prng.pick<() => MatcherSpec>([
    () => ({ kind: 'any' }),
    () => ({ kind: 'actual', value: value(prng) }),
    () => ({ kind: 'any-of', values: several(prng, 1, value) }),
    () => ({ kind: 'negation', matcher: { kind: 'actual', value: value(prng) } }),
  ])();
}

/** A template of up to four alternatives. */
export function template(prng: Prng): Template {
  const spec: TemplateSpec = several(prng, 1, (inner) => ({
    matchers: several(inner, 1, matcher),
    rest: flag(inner),
  }));
  return compiled(encodeTemplate(spec));
}

/** The template of bytes that are one. */
export function compiled(bytes: Uint8Array): Template {
  const made = compileTemplate(bytes);
  if (isProblem(made)) throw new Error(made.message);
  return made;
}

function query(prng: Prng): Query {
  const max = prng.pick([1, prng.between(1, 1_000), 1_000]);
  const made = { space: space(prng), template: template(prng), max, min: prng.between(1, max) };
  return prng.chance(1, 2) ? made : { ...made, waitedMs: duration(prng) };
}

function states(prng: Prng): States {
  return prng.pick<States>([['ready'], ['handed'], ['ready', 'handed'], ['handed', 'ready']]);
}

function session(prng: Prng): SessionOperation {
  return {
    kind: 'session',
    session: wide<SessionId>(prng),
    sequence: wide<Sequence>(prng),
    attempt: wide<Attempt>(prng),
    floor: wide<Sequence>(prng),
  };
}

function operation(prng: Prng): Operation | undefined {
  const requestId = several(prng, 1, () => prng.between(16, 255).toString(16)).join('');
  const request: Operation = { kind: 'request', requestId, space: space(prng) };
  return maybe(prng, () => prng.pick<Operation>([session(prng), request]));
}

function newTuple(prng: Prng): NewTuple {
  return {
    slot: prng.below(4_096) as Slot,
    bytes: tupleBytes(prng),
    leaseMs: maybe(prng, duration),
  };
}

function storedTuple(prng: Prng): StoredTuple {
  return {
    id: wide<TupleId>(prng),
    revision: wide<LogIndex>(prng),
    bytes: tupleBytes(prng),
    deliveries: prng.pick([0, prng.uint32()]),
    writtenAtMs: orZero(prng) as StampMs,
    leaseEndMs: maybe(prng, orZero) as StampMs | undefined,
    state: prng.pick(['ready', 'handed']),
  };
}

/** Outcomes by kind. */
export const results: Makers<Result> = {
  handed: (prng) => ({ kind: 'handed', tuples: several(prng, 1, storedTuple) }),
  written: (prng) => ({
    kind: 'written',
    tuples: several(prng, 1, (inner) => ({
      id: wide<TupleId>(inner),
      revision: wide<LogIndex>(inner),
      leaseEndMs: maybe(inner, orZero) as StampMs | undefined,
    })),
  }),
  replaced: (prng) => {
    const old: StoredTuple = { ...storedTuple(prng), state: 'ready' };
    const now: StoredTuple = { ...storedTuple(prng), state: 'ready' };
    const { id, revision, leaseEndMs } = now;
    return { kind: 'replaced', written: { id, revision, leaseEndMs }, old, new: now };
  },
  cancelled: (prng) => ({ kind: 'cancelled', found: flag(prng) }),
  renewed: (prng) => ({
    kind: 'renewed',
    found: flag(prng),
    leaseEndMs: maybe(prng, orZero) as StampMs | undefined,
  }),
};

/** Changes by kind. */
export const changes: Makers<Change> = {
  write: (prng) => ({ kind: 'write', space: space(prng), tuples: several(prng, 1, newTuple) }),
  'write-if-absent': (prng) => ({
    kind: 'write-if-absent',
    space: space(prng),
    tuple: newTuple(prng),
    absent: template(prng),
  }),
  replace: (prng) => ({
    kind: 'replace',
    space: space(prng),
    target: prng.chance(1, 2)
      ? template(prng)
      : { tuple: wide<TupleId>(prng), revision: wide<LogIndex>(prng) },
    slot: prng.below(4_096) as Slot,
    bytes: tupleBytes(prng),
    leaseMs: prng.chance(1, 2) ? 'keep' : duration(prng),
  }),
  increment: (prng) => ({
    kind: 'increment',
    space: space(prng),
    template: template(prng),
    field: prng.below(64),
    delta: encodeValue(prng.chance(1, 2) ? prng.below(1e6) : floatOf(0.5)),
  }),
  cancel: (prng) => ({ kind: 'cancel', space: space(prng), tuple: wide<TupleId>(prng) }),
  renew: (prng) => ({
    kind: 'renew',
    space: space(prng),
    tuple: wide<TupleId>(prng),
    leaseMs: maybe(prng, duration),
  }),
};

const call = (prng: Prng): number => wide(prng);
const epoch = (prng: Prng): Term => wide<Term>(prng);

/** Messages to leaders by kind. */
export const toLeaders: Makers<ToLeader> = {
  register: (prng) => ({
    kind: 'register',
    call: call(prng),
    operation: session(prng),
    r: wide(prng),
    query: query(prng),
  }),
  accept: (prng) => ({
    kind: 'accept',
    call: call(prng),
    operation: session(prng),
    epoch: epoch(prng),
    offer: wide(prng),
  }),
  decline: (prng) => ({
    kind: 'decline',
    call: call(prng),
    operation: session(prng),
    epoch: epoch(prng),
    offer: wide(prng),
    r: wide(prng),
  }),
  withdraw: (prng) => ({ kind: 'withdraw', call: call(prng), operation: session(prng) }),
  fence: (prng) => ({ kind: 'fence', call: call(prng), operation: session(prng) }),
  take: (prng) => ({
    kind: 'take',
    call: call(prng),
    operation: session(prng),
    epoch: epoch(prng),
    m: wide(prng),
    query: query(prng),
    waitEnded: flag(prng),
    cancelled: flag(prng),
  }),
  mutate: (prng) => ({
    kind: 'mutate',
    call: call(prng),
    operation: operation(prng),
    epoch: epoch(prng),
    m: wide(prng),
    change: prng.pick(Object.values<(prng: Prng) => Change>(changes))(prng),
  }),
  read: (prng) => ({
    kind: 'read',
    call: call(prng),
    m: wide(prng),
    query: query(prng),
    states: states(prng),
    waitEnded: flag(prng),
    cancelled: flag(prng),
  }),
  count: (prng) => ({
    kind: 'count',
    call: call(prng),
    space: space(prng),
    template: maybe(prng, template),
    states: states(prng),
  }),
  acknowledge: (prng) => ({
    kind: 'acknowledge',
    call: call(prng),
    session: wide<SessionId>(prng),
    floor: wide<Sequence>(prng),
    receipts: several(prng, 0, (inner) => ({
      sequence: wide<Sequence>(inner),
      tuple: wide<TupleId>(inner),
    })),
  }),
  'open-session': (prng) => ({
    kind: 'open-session',
    call: call(prng),
    leaseMs: prng.between(1, 3_600_000),
    name: shortWord(prng),
  }),
  'keep-session': (prng) => ({
    kind: 'keep-session',
    call: call(prng),
    session: wide<SessionId>(prng),
  }),
  'close-session': (prng) => ({
    kind: 'close-session',
    call: call(prng),
    session: wide<SessionId>(prng),
  }),
  'drop-space': (prng) => ({ kind: 'drop-space', call: call(prng), space: space(prng) }),
};

/** Answers by kind. */
export const answers: Makers<Answer> = {
  offer: (prng) => ({ kind: 'offer', operation: session(prng), offer: wide(prng) }),
  result: (prng) => ({
    kind: 'result',
    result: prng.pick(Object.values<(prng: Prng) => Result>(results))(prng),
    m: orZero(prng),
  }),
  stop: (prng) => ({
    kind: 'stop',
    why: prng.pick<Refusal>(['ended', 'closed', 'fenced', 'unknown-session']),
  }),
  miss: (prng) => ({ kind: 'miss', offerEpoch: epoch(prng), offer: wide(prng) }),
  empty: () => ({ kind: 'empty' }),
  fenced: () => ({ kind: 'fenced' }),
  nothing: (prng) => ({ kind: 'nothing', m: orZero(prng), cancelled: flag(prng) }),
  unchanged: (prng) => ({ kind: 'unchanged', m: orZero(prng) }),
  refused: (prng) => ({
    kind: 'refused',
    reason: prng.pick(['DISK_FULL', 'SESSION_BUSY', 'INCREMENT_OVERFLOW']),
    message: shortWord(prng),
    m: orZero(prng),
    inDoubt: flag(prng),
  }),
  found: (prng) => ({ kind: 'found', tuples: several(prng, 0, storedTuple), m: orZero(prng) }),
  counted: (prng) => ({ kind: 'counted', count: orZero(prng) }),
  received: () => ({ kind: 'received' }),
  'session-opened': (prng) => ({
    kind: 'session-opened',
    session: wide<SessionId>(prng),
    leaseMs: duration(prng),
  }),
  'session-kept': (prng) => ({ kind: 'session-kept', leaseMs: duration(prng) }),
  done: () => ({ kind: 'done' }),
  'not-leader': (prng) => ({ kind: 'not-leader', definite: flag(prng) }),
};

/** Messages between leaders by kind. */
export const betweenLeaders: Makers<BetweenLeaders> = {
  'ask-open': (prng) => ({
    kind: 'ask-open',
    session: wide<SessionId>(prng),
    from: partition(prng),
    epoch: epoch(prng),
  }),
  open: (prng) => ({ kind: 'open', session: wide<SessionId>(prng), epoch: epoch(prng) }),
  'not-open': (prng) => ({ kind: 'not-open', session: wide<SessionId>(prng), epoch: epoch(prng) }),
  'deliver-end': (prng) => ({
    kind: 'deliver-end',
    session: wide<SessionId>(prng),
    home: partition(prng),
  }),
  'end-applied': (prng) => ({
    kind: 'end-applied',
    session: wide<SessionId>(prng),
    from: partition(prng),
  }),
};

const spaceName = (prng: Prng): string =>
  prng.pick(['a', 'jobs', 'a/b-c_d.e', `${prng.uint32()}`, 'x'.repeat(128)]);

function rules(prng: Prng): SpaceSettings['rules'] {
  const tags = new Set(several(prng, 0, () => prng.below(100)));
  return [...tags].map((tag) => ({
    tag: prng.pick<Value>([tag, [tag, `tag-${tag}`], Uint8Array.of(tag, 1, 2)]),
    spread: prng.between(2, 4_096),
    fields: [prng.between(1, 3), prng.between(4, 20)].slice(0, prng.between(1, 2)),
  }));
}

function settings(prng: Prng): SpaceSettings {
  const tupleBytesMax = prng.pick([1, 1_048_576, 3_145_728]);
  if (prng.chance(1, 3)) return { rules: [], like: spaceName(prng), tupleBytesMax };
  return { rules: rules(prng), like: undefined, tupleBytesMax };
}

function spaceRecord(prng: Prng): SpaceRecord {
  const name = spaceName(prng);
  const its = settings(prng);
  return {
    id: space(prng),
    name,
    settings: its,
    routingName: its.like ?? name,
    rules: its.like === undefined ? its.rules : rules(prng),
    createdAtMs: orZero(prng) as StampMs,
  };
}

/** Changes of the cluster map by kind. */
export const spaceCommands: Makers<SpaceCommand> = {
  'create-space': (prng) => ({
    kind: 'create-space',
    name: spaceName(prng),
    settings: settings(prng),
  }),
  'drop-space': (prng) => ({ kind: 'drop-space', name: spaceName(prng) }),
};

function description(prng: Prng): NodeDescription {
  return {
    name: `node-${prng.below(9)}`,
    zone: prng.pick(['', 'east', 'west']),
    peerAddress: 'one:7448',
    clientAddress: prng.pick(['', 'one:7447']),
  };
}

function nodeKey(prng: Prng): string {
  return prng.uint32().toString(16).padStart(32, '0');
}

const nodeStates = ['member', 'draining', 'gone', 'removed'] as const;

/** Changes of nodes and placements by kind. */
export const placementCommands: Makers<PlacementCommand> = {
  'begin-move': (prng) => ({
    kind: 'begin-move',
    group: prng.below(257) as GroupId,
    add: flag(prng) ? ((1 + prng.below(255)) as NodeId) : undefined,
    remove: flag(prng) ? 1 + prng.below(999) : undefined,
  }),
  placed: (prng) => ({
    kind: 'placed',
    group: prng.below(257) as GroupId,
    index: orZero(prng) as LogIndex,
    voters: several(prng, 0, () => 1 + prng.below(999)),
    learners: several(prng, 0, () => 1 + prng.below(999)),
  }),
  'add-node': (prng) => ({ kind: 'add-node', key: nodeKey(prng), ...description(prng) }),
  'describe-node': (prng) => ({
    kind: 'describe-node',
    node: (1 + prng.below(255)) as NodeId,
    ...description(prng),
  }),
  'set-node': (prng) => ({
    kind: 'set-node',
    node: (1 + prng.below(255)) as NodeId,
    state: prng.pick(nodeStates),
  }),
  'set-replicas': (prng) => ({ kind: 'set-replicas', count: 1 + prng.below(7) }),
};

/** What becomes of changes by kind. */
export const mapOutcomes: Makers<MapOutcome> = {
  created: (prng) => ({ kind: 'created', space: spaceRecord(prng), epoch: wide(prng) }),
  dropped: (prng) => ({ kind: 'dropped', space: spaceRecord(prng), epoch: wide(prng) }),
  node: (prng) => ({
    kind: 'node',
    node: {
      id: (1 + prng.below(255)) as NodeId,
      key: nodeKey(prng),
      state: prng.pick(nodeStates),
      ...description(prng),
    },
  }),
  done: () => ({ kind: 'done' }),
  refused: (prng) => ({
    kind: 'refused',
    problem: {
      reason: prng.pick(['SPACE_EXISTS', 'NO_LEADER', 'OUTCOME_UNKNOWN']),
      field: shortWord(prng),
      message: shortWord(prng),
      ...(flag(prng) ? { limit: wide<number>(prng) } : {}),
    },
  }),
};

/** A message to a leader as an item. */
export function toLeaderItem(prng: Prng, message: ToLeader): CoordinationItem {
  return { kind: 'to-leader', partition: partition(prng), router: wide(prng), message };
}

/** An answer as an item. */
export function fromLeaderItem(prng: Prng, answer: Answer): CoordinationItem {
  const head = { call: call(prng), partition: partition(prng), epoch: orZero(prng) as Term };
  const message: FromLeader = { ...head, ...answer };
  return { kind: 'from-leader', router: wide(prng), message };
}

/** What is answered about a history. */
export const historyOutcomes: Makers<HistoryOutcome> = {
  bounds: (prng) => ({ kind: 'bounds', last: place(prng), cut: place(prng) }),
  events: (prng) => ({
    kind: 'events',
    records: some(prng, (its) => Uint8Array.of(its.between(0, 255), 7)),
  }),
  compacted: () => ({ kind: 'compacted' }),
  absent: () => ({ kind: 'absent' }),
};

/** Items by kind. */
export const items: {
  readonly [K in CoordinationItem['kind']]: (prng: Prng) => CoordinationItem;
} = {
  'to-leader': (prng) =>
    toLeaderItem(prng, prng.pick(Object.values<(prng: Prng) => ToLeader>(toLeaders))(prng)),
  'from-leader': (prng) =>
    fromLeaderItem(prng, prng.pick(Object.values<(prng: Prng) => Answer>(answers))(prng)),
  'between-leaders': (prng) => ({
    kind: 'between-leaders',
    partition: partition(prng),
    message: prng.pick(Object.values<(prng: Prng) => BetweenLeaders>(betweenLeaders))(prng),
  }),
  'router-attached': (prng) => ({ kind: 'router-attached', router: wide(prng) }),
  'router-detached': (prng) => ({ kind: 'router-detached', router: wide(prng) }),
  leadership: (prng) => ({ kind: 'leadership', partition: partition(prng), epoch: epoch(prng) }),
  'map-leadership': (prng) => ({ kind: 'map-leadership', epoch: epoch(prng) }),
  'client-address': (prng) => ({
    kind: 'client-address',
    address: prng.pick(['127.0.0.1:7447', '[::1]:80', 'node-1.tuplet.example:7447']),
  }),
  'map-call': (prng) => ({
    kind: 'map-call',
    call: call(prng),
    command: prng.pick([
      ...Object.values<(prng: Prng) => SpaceCommand>(spaceCommands),
      ...Object.values<(prng: Prng) => PlacementCommand>(placementCommands),
    ])(prng),
  }),
  'map-answer': (prng) => ({
    kind: 'map-answer',
    call: call(prng),
    outcome: prng.pick(Object.values<(prng: Prng) => MapOutcome>(mapOutcomes))(prng),
  }),
  'read-index': (prng) => ({
    kind: 'read-index',
    call: call(prng),
    group: prng.between(0, 256) as GroupId,
  }),
  'index-answer': (prng) => ({
    kind: 'index-answer',
    call: call(prng),
    index: maybe(prng, (inner) => wide<LogIndex>(inner)),
  }),
  'hand-over': (prng) => ({
    kind: 'hand-over',
    group: prng.between(0, 256) as GroupId,
    to: wide(prng),
  }),
  'known-nodes': (prng) => ({
    kind: 'known-nodes',
    nodes: some(prng, (its) => ({ node: its.between(1, 255) as NodeId, address: 'node-1:7448' })),
  }),
  'history-ask': (prng) => ({
    kind: 'history-ask',
    call: call(prng),
    partition: prng.between(1, 256) as PartitionId,
    after: maybe(prng, place),
  }),
  'history-answer': (prng) => ({
    kind: 'history-answer',
    call: call(prng),
    outcome: prng.pick(Object.values<(prng: Prng) => HistoryOutcome>(historyOutcomes))(prng),
  }),
  'status-ask': (prng) => ({ kind: 'status-ask', call: call(prng) }),
  'status-answer': (prng) => ({
    kind: 'status-answer',
    call: call(prng),
    groups: some(prng, (inner) => ({
      group: inner.between(0, 256) as GroupId,
      term: wide<Term>(inner),
      committed: orZero(inner) as LogIndex,
      replicas: some(inner, (its) => ({
        replica: wide(its),
        match: orZero(its) as LogIndex,
        isActive: flag(its),
      })),
    })),
  }),
};

/** An item of any kind; messages and answers more often. */
export function anyItem(prng: Prng): CoordinationItem {
  const kinds = [
    'to-leader',
    'from-leader',
    ...(Object.keys(items) as (keyof typeof items)[]),
  ] as const;
  return items[prng.pick(kinds)](prng);
}
