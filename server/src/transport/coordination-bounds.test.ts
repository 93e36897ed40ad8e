import { ok } from 'node:assert';
import { DecodeError, limits as shared } from '@tuplet/proto';
import test from 'ava';
import { InvariantError } from '../base/assert.ts';
import type {
  GroupId,
  LogIndex,
  PartitionId,
  SessionId,
  Slot,
  SpaceId,
  StampMs,
  Term,
  TupleId,
} from '../base/ids.ts';
import { Prng } from '../base/prng.ts';
import type { MapOutcome, MapProblem, SpaceRecord, SpaceSettings } from '../cluster/map-command.ts';
import type { Answer, Change, Query, Read, ToLeader } from '../coordination/messages.ts';
import type { NewTuple, Operation } from '../space/command.ts';
import type { CoordinationItem } from './coordination-codec.ts';
import { bytesTuple, encode, plain, read } from './testing-coordination.ts';
import { answers, template, toLeaders } from './testing-items.ts';

const prng = new Prng(2);
const say = (message: ToLeader): CoordinationItem => ({
  kind: 'to-leader',
  partition: 1 as PartitionId,
  router: 1,
  message,
});
const change = (what: Change): CoordinationItem =>
  say({ ...toLeaders.mutate(prng), operation: undefined, change: what });
const answer = (what: Answer): CoordinationItem => ({
  kind: 'from-leader',
  router: 1,
  message: { call: 1, partition: 1 as PartitionId, epoch: 0 as Term, ...what },
});

/** Items that are taken, beside others that differ in what is beyond a bound. */
function bound(name: string, good: readonly CoordinationItem[], bad: readonly CoordinationItem[]) {
  test(`${name}: beyond its bounds it is refused`, (t) => {
    for (const item of good) t.deepEqual(plain(read(encode(item)).items), plain([item]));
    for (const item of bad) t.throws(() => read(encode(item)), { instanceOf: DecodeError });
  });
}

const led = (partition: number): CoordinationItem => ({
  kind: 'leadership',
  partition: partition as PartitionId,
  epoch: 1 as Term,
});
const fenceTo = (partition: number): CoordinationItem => ({
  kind: 'to-leader',
  partition: partition as PartitionId,
  router: 1,
  message: toLeaders.fence(prng),
});
const doneBy = (partition: number): CoordinationItem => ({
  kind: 'from-leader',
  router: 1,
  message: { kind: 'done', call: 1, partition: partition as PartitionId, epoch: 1 as Term },
});
const endedAt = (home: number, to = 1): CoordinationItem => ({
  kind: 'between-leaders',
  partition: to as PartitionId,
  message: { kind: 'deliver-end', session: 1 as SessionId, home: home as PartitionId },
});
const asksFor = (group: number, number = 1): CoordinationItem => ({
  kind: 'read-index',
  call: number,
  group: group as GroupId,
});
bound('a group', [asksFor(0), asksFor(256)], [asksFor(257), asksFor(0, 0)]);
bound(
  'a partition',
  [led(1), led(256), fenceTo(256), doneBy(256), endedAt(256, 256)],
  [
    led(0),
    led(257),
    fenceTo(0),
    fenceTo(257),
    doneBy(0),
    doneBy(257),
    endedAt(257),
    endedAt(1, 257),
  ],
);
bound(
  'a router',
  [{ kind: 'router-attached', router: 1 }],
  [{ kind: 'router-attached', router: 0 }, { ...fenceTo(1), router: 0 } as CoordinationItem],
);

const query: Query = { space: 1 as SpaceId, template: template(prng), max: 1_000, min: 1_000 };
const asks = (part: Partial<Query>): CoordinationItem =>
  say({ ...toLeaders.register(prng), query: { ...query, ...part } });
const years = 3_155_760_000_000;
bound(
  'a query',
  [asks({}), asks({ waitedMs: years })],
  [asks({ max: 1_001 }), asks({ max: 999 }), asks({ min: 0 }), asks({ waitedMs: years + 1 })],
);
bound(
  'a template',
  [asks({})],
  [[], [0x0a, 0], [0x0a, 3, 0x0a, 1, 0], [0x12, 0]].map((raw) => {
    const bytes = Uint8Array.from(raw);
    const broken = Object.assign(template(prng), { bytes, start: 0, end: bytes.length });
    return asks({ template: broken });
  }),
);

const looks = (...states: readonly string[]): CoordinationItem =>
  say({ ...toLeaders.count(prng), states: states as Read['states'] });
bound(
  'states',
  [looks('ready'), looks('handed', 'ready')],
  [looks(), looks('ready', 'ready'), looks('ready', 'handed', 'ready')],
);

const tuple: NewTuple = { slot: 4_095 as Slot, bytes: bytesTuple(20), leaseMs: years };
const writes = (part: Partial<NewTuple>): CoordinationItem =>
  change({ kind: 'write', space: 1 as SpaceId, tuples: [tuple, { ...tuple, ...part }] });
const canonical = tuple.bytes;
/** The same tuple with the length of its field in two bytes. */
const longer = Uint8Array.of(0x0a, (canonical[1] as number) | 0x80, 0, ...canonical.slice(2));
const tooLarge = bytesTuple(shared.tupleBytesMax + 12);
bound(
  'a tuple to be written',
  [writes({}), writes({ leaseMs: 1 })],
  [
    writes({ slot: 4_096 as Slot }),
    writes({ leaseMs: 0 }),
    writes({ leaseMs: years + 1 }),
    writes({ bytes: longer }),
    writes({ bytes: canonical.slice(0, -1) }),
    writes({ bytes: new Uint8Array(0) }),
    writes({ bytes: tooLarge }),
  ],
);
const writesMany = (count: number): CoordinationItem =>
  change({ kind: 'write', space: 1 as SpaceId, tuples: new Array(count).fill(tuple) });
bound('tuples of a write', [writesMany(1), writesMany(1_000)], [writesMany(0), writesMany(1_001)]);

const replaces = (part: Partial<Extract<Change, { kind: 'replace' }>>): CoordinationItem =>
  change({
    kind: 'replace',
    space: 1 as SpaceId,
    target: query.template,
    slot: 1 as Slot,
    bytes: canonical,
    leaseMs: 'keep',
    ...part,
  });
bound(
  'a replacement',
  [replaces({}), replaces({ leaseMs: years })],
  [
    replaces({ slot: 4_096 as Slot }),
    replaces({ bytes: longer }),
    replaces({ leaseMs: years + 1 }),
    replaces({ leaseMs: 0 }),
  ],
);
const renews = (leaseMs: number): CoordinationItem =>
  change({ kind: 'renew', space: 1 as SpaceId, tuple: 1 as TupleId, leaseMs });
bound('a lease', [renews(1), renews(years)], [renews(0), renews(years + 1)]);
const adds = (...delta: readonly number[]): CoordinationItem =>
  change({
    kind: 'increment',
    space: 1 as SpaceId,
    template: query.template,
    field: 1,
    delta: Uint8Array.from(delta),
  });
bound(
  'a delta',
  [adds(0x18, 2)],
  [adds(), adds(0x18, 0x82, 0), adds(0x18), adds(0x18, 2, 0x18, 2)],
);

const asked = (requestId: string): CoordinationItem => {
  const operation: Operation = { kind: 'request', requestId, space: 1 as SpaceId };
  return say({ ...toLeaders.mutate(prng), operation });
};
bound(
  'a request id',
  [asked('00'), asked('ab'.repeat(64))],
  [asked(''), asked('a'), asked('AB'), asked('ab'.repeat(65))],
);
const receives = (count: number): CoordinationItem => {
  const receipts = toLeaders.acknowledge(new Prng(3)).receipts;
  ok(receipts[0] !== undefined);
  return say({ ...toLeaders.acknowledge(prng), receipts: new Array(count).fill(receipts[0]) });
};
bound('receipts', [receives(0), receives(1_000)], [receives(1_001)]);
const opens = (leaseMs: number, name: string): CoordinationItem =>
  say({ kind: 'open-session', call: 1, leaseMs, name });
bound(
  'a session',
  [opens(1, ''), opens(3_600_000, 'é'.repeat(64))],
  [opens(0, 'a'), opens(3_600_001, 'a'), opens(1, 'é'.repeat(65)), opens(1, 'a'.repeat(129))],
);

const refuses = (part: object): CoordinationItem =>
  answer({ ...answers.refused(prng), ...part } as Answer);
bound(
  'a refusal',
  [refuses({}), refuses({ message: 'é'.repeat(1_024) })],
  [refuses({ reason: 'NO_SUCH_REASON' }), refuses({ reason: '' }), refuses({ reason: 'toString' })],
);
const { tuples } = answers.found(new Prng(8));
const found = (count: number): CoordinationItem =>
  answer({ kind: 'found', m: 0, tuples: new Array(count).fill(tuples[0]) });
const handed = (count: number): CoordinationItem =>
  answer({
    kind: 'result',
    m: 0,
    result: { kind: 'handed', tuples: new Array(count).fill(tuples[0]) },
  });
const written = (count: number): CoordinationItem => {
  const one = { id: 1 as TupleId, revision: 1 as LogIndex, leaseEndMs: undefined };
  const result = { kind: 'written', tuples: new Array(count).fill(one) } as const;
  return answer({ kind: 'result', m: 0, result });
};
bound(
  'tuples of an answer',
  [found(0), found(1_000), handed(1), handed(1_000), written(1_000)],
  [found(1_001), handed(0), handed(1_001), written(1_001)],
);

test('words of a refusal: the sender keeps to the bound, and what is beyond it is refused', (t) => {
  const most = refuses({ message: 'a'.repeat(1_024), m: 0, inDoubt: false });
  t.throws(() => encode(refuses({ message: 'a'.repeat(1_025) })), { instanceOf: InvariantError });
  const bytes = encode(most);
  const text = bytes.indexOf('aaaa');
  // One letter more: in the lengths of all that is around the text, which take two bytes each.
  const more = Buffer.concat([bytes.subarray(0, text), Buffer.from('a'), bytes.subarray(text)]);
  for (let at = 6; at < text; at += 1) {
    const length = ((more[at] as number) & 0x7f) | ((more[at + 1] as number) << 7);
    const isLength = length === more.length - 1 - (at + 2) && (more[at] as number) > 0x7f;
    if (isLength) more[at] = (more[at] as number) + 1;
  }
  t.throws(() => read(more), { instanceOf: DecodeError, message: /says too much/ });
});

const plainSettings: SpaceSettings = { rules: [], like: undefined, tupleBytesMax: 1_048_576 };
const creates = (name: string, part: Partial<SpaceSettings> = {}): CoordinationItem => ({
  kind: 'map-call',
  call: 1,
  command: { kind: 'create-space', name, settings: { ...plainSettings, ...part } },
});
const drops = (name: string, number = 1): CoordinationItem => ({
  kind: 'map-call',
  call: number,
  command: { kind: 'drop-space', name },
});
const rules = Array.from({ length: 64 }, (_, at) => ({
  tag: `${at}`.padEnd(1_000, 'x'),
  spread: 4_096,
  fields: [1, 2],
}));
const [rule] = rules;
ok(rule !== undefined);
bound(
  'a change of the map',
  [
    creates('a'),
    creates('a'.repeat(128), { rules }),
    creates('a', { like: 'b'.repeat(128), tupleBytesMax: shared.tupleBytesMax }),
    drops('a'.repeat(128)),
  ],
  [
    creates(''),
    creates('a'.repeat(129)),
    creates('not so'),
    creates('a', { like: 'not so' }),
    creates('a', { like: 'b', rules: [rule] }),
    creates('a', { tupleBytesMax: 0 }),
    creates('a', { tupleBytesMax: shared.tupleBytesMax + 1 }),
    creates('a', { rules: [...rules, { ...rule, tag: 'one more' }] }),
    creates('a', { rules: [{ ...rule, tag: 'x'.repeat(1_025) }] }),
    creates('a', { rules: [{ ...rule, spread: 4_097 }] }),
    creates('a', { rules: [{ ...rule, fields: [0] }] }),
    creates('a', { rules: [rule, rule] }),
    drops(''),
    drops('a'.repeat(129)),
    drops('a', 0),
  ],
);

const becomes = (outcome: MapOutcome, number = 1): CoordinationItem => ({
  kind: 'map-answer',
  call: number,
  outcome,
});
const created = (part: Partial<SpaceRecord>, epoch = 1): CoordinationItem => {
  const space: SpaceRecord = {
    id: 1 as SpaceId,
    name: 'a',
    settings: plainSettings,
    routingName: 'a',
    rules: [],
    createdAtMs: 0 as StampMs,
  };
  return becomes({ kind: 'created', space: { ...space, ...part }, epoch });
};
const refusesChange = (part: Partial<MapProblem>): CoordinationItem => {
  const problem: MapProblem = { reason: 'SPACE_EXISTS', field: 'name', message: 'is there' };
  return becomes({ kind: 'refused', problem: { ...problem, ...part } });
};
bound(
  'what became of a change of the map',
  [
    created({}),
    created({ settings: { ...plainSettings, like: 'b' }, routingName: 'b', rules }),
    refusesChange({ field: 'a'.repeat(128), message: 'é'.repeat(1_024), limit: 1 }),
    refusesChange({ field: '', message: '' }),
  ],
  [
    created({}, 0),
    created({ id: 0 as SpaceId }),
    created({ name: 'not so' }),
    created({ routingName: '' }),
    created({ settings: { ...plainSettings, tupleBytesMax: 0 } }),
    created({ rules: [rule, rule] }),
    becomes({ kind: 'refused', problem: { reason: 'NO_LEADER', field: '', message: '' } }, 0),
    refusesChange({ reason: 'MEMORY_FULL' as 'DISK_FULL' }),
    refusesChange({ reason: 'toString' as 'DISK_FULL' }),
  ],
);

test('words of a refusal by the map: the sender keeps to their bounds', (t) => {
  for (const part of [{ field: 'a'.repeat(129) }, { message: 'a'.repeat(1_025) }]) {
    t.throws(() => encode(refusesChange(part)), { instanceOf: InvariantError });
  }
});
