import { Float, isErrorReason, limits, type RoutingRule } from '@tuplet/proto';
import test from 'ava';
import type { LogIndex, NodeId, Slot, SpaceId, StampMs } from '../base/ids.ts';
import { spacesMax } from '../base/limits.ts';
import { ClusterMap, sharesRouting } from './cluster-map.ts';
import { decodeMapEntry, decodeMapState, encodeMapEntry, encodeMapState } from './map-codec.ts';
import type {
  FoundCommand,
  MapCommand,
  MapOutcome,
  MapProblem,
  SpaceRecord,
  SpaceSettings,
} from './map-command.ts';
import { partitionIds, partitionOfSlot } from './slots.ts';

const plain: SpaceSettings = { rules: [], like: undefined, tupleBytesMax: 1_048_576 };
const byUser: RoutingRule = { tag: 'order', spread: 16, fields: [1, 3] };

function apply(map: ClusterMap, command: MapCommand, stampMs = map.stampMs + 1): MapOutcome {
  // Through bytes, as a replica would.
  const entry = decodeMapEntry(encodeMapEntry({ stampMs: stampMs as StampMs, command }));
  return map.apply((map.appliedIndex + 1) as LogIndex, entry);
}

function found(clusterId: string, partitions: number): FoundCommand {
  const description = { name: 'node-1', zone: '', peerAddress: 'one:7448', clientAddress: '' };
  const founders = [{ id: 1 as NodeId, ...description }];
  return { kind: 'found', clusterId, partitions, replicaCount: 3, founders };
}

function founded(partitions = 16): ClusterMap {
  const map = new ClusterMap();
  apply(map, { kind: 'lead' }, 1_000);
  apply(map, found('0123456789abcdef0123456789abcdef', partitions));
  return map;
}

function create(map: ClusterMap, name: string, settings: Partial<SpaceSettings> = {}): MapOutcome {
  return apply(map, { kind: 'create-space', name, settings: { ...plain, ...settings } });
}

function created(
  map: ClusterMap,
  name: string,
  settings: Partial<SpaceSettings> = {},
): SpaceRecord {
  const outcome = create(map, name, settings);
  if (outcome.kind !== 'created') throw new Error(JSON.stringify(outcome));
  return outcome.space;
}

function refusal(outcome: MapOutcome): string {
  return outcome.kind === 'refused'
    ? `${outcome.problem.reason} ${outcome.problem.field}`
    : outcome.kind;
}

test('founding fixes id and partitions, and makes the space default', (t) => {
  const map = founded(7);
  t.is(map.partitions, 7);
  t.is(map.clusterId, '0123456789abcdef0123456789abcdef');
  t.is(map.space('default')?.id, 1 as SpaceId);
  t.is(map.epoch, 1);
});

test('a cluster that is restored has the spaces of its backup, their ids and epoch, and no others', (t) => {
  const before = founded(7);
  apply(before, { kind: 'drop-space', name: 'default' });
  created(before, 'orders', { rules: [byUser] });
  const like = created(before, 'more', { like: 'orders' });
  const dropped = created(before, 'gone');
  apply(before, { kind: 'drop-space', name: 'gone' });
  const { spaces, nextSpaceId, epoch } = before.state();
  const backup = 'ab'.repeat(32);
  const map = new ClusterMap();
  apply(map, { ...found('ee', 7), restored: { backup, spaces, nextSpaceId, epoch } });
  t.deepEqual(map.spaces(), before.spaces());
  t.deepEqual(map.space('more'), like);
  t.is(map.space('default'), undefined);
  t.is(map.epoch, epoch);
  t.deepEqual(map.dropped(), []);
  t.is(map.clusterId, 'ee');
  t.is(map.backup, backup);
  t.is(before.backup, '');
  t.is(new ClusterMap(decodeMapState(encodeMapState(map.state()))).backup, backup);
  t.true(created(map, 'new').id > dropped.id);
});

test('a cluster is founded once: who does it again, not knowing of the first time, changes nothing', (t) => {
  const map = founded(7);
  const again = found('ff', 16);
  t.is(apply(map, again).kind, 'done');
  t.is(map.partitions, 7);
  t.is(map.clusterId, '0123456789abcdef0123456789abcdef');
  t.is(map.epoch, 1);
});

test('a space has its own routing name; its id is never given again, nor is a dropped name lost [6.5, 6.12]', (t) => {
  const map = founded();
  const first = created(map, 'orders', { rules: [byUser] });
  t.is(first.routingName, 'orders');
  t.deepEqual(first.rules, [byUser]);
  t.is(apply(map, { kind: 'drop-space', name: 'orders' }).kind, 'dropped');
  t.is(map.space('orders'), undefined);
  t.is(map.spaceById(first.id), undefined);
  const second = created(map, 'orders');
  t.true(second.id > first.id);
});

test('no id comes twice, whatever was dropped between [6.12]', (t) => {
  const map = founded();
  const ids = new Set([map.space('default')?.id]);
  for (let round = 0; round < 5; round += 1) {
    for (const name of ['a', 'b', 'c']) ids.add(created(map, name).id);
    for (const name of ['b', 'a', 'c']) {
      const id = map.space(name)?.id;
      apply(map, { kind: 'drop-space', name });
      if (id !== undefined) apply(map, { kind: 'forget-space', space: id });
    }
  }
  t.is(ids.size, 16);
});

test('every change of the spaces raises the epoch by one, and a refused one does not', (t) => {
  const map = founded();
  created(map, 'a');
  t.is(map.epoch, 2);
  create(map, 'a');
  t.is(map.epoch, 2);
  apply(map, { kind: 'drop-space', name: 'a' });
  t.is(map.epoch, 3);
});

test('a chain of likes shares the routing of its first, also when that is dropped (§6) [6.5]', (t) => {
  const map = founded();
  const first = created(map, 'first', { rules: [byUser] });
  const second = created(map, 'second', { like: 'first' });
  t.is(apply(map, { kind: 'drop-space', name: 'first' }).kind, 'dropped');
  const third = created(map, 'third', { like: 'second' });
  t.is(third.routingName, 'first');
  t.deepEqual(third.rules, [byUser]);
  t.true(sharesRouting(first, third));
  t.true(sharesRouting(second, third));
});

test('a name given again with other rules does not share the routing of what was like the old one', (t) => {
  const map = founded();
  created(map, 'a', { rules: [byUser] });
  const likeOld = created(map, 'b', { like: 'a' });
  apply(map, { kind: 'drop-space', name: 'a' });
  const renewed = created(map, 'a', { rules: [{ ...byUser, spread: 17 }] });
  t.is(renewed.routingName, likeOld.routingName);
  t.false(sharesRouting(renewed, likeOld));
});

test('names and settings outside of their bounds are refused with reason and field', (t) => {
  const map = founded();
  created(map, 'taken');
  const many = Array.from({ length: 65 }, (_, tag): RoutingRule => ({ ...byUser, tag }));
  const cases: [string, Partial<SpaceSettings>, string][] = [
    ['', {}, 'SPACE_NAME name'],
    ['x'.repeat(129), {}, 'SPACE_NAME name'],
    ['-a', {}, 'SPACE_NAME name'],
    ['a b', {}, 'SPACE_NAME name'],
    ['ä', {}, 'SPACE_NAME name'],
    ['a\n', {}, 'SPACE_NAME name'],
    ['taken', {}, 'SPACE_EXISTS name'],
    ['a', { like: 'nobody' }, 'SPACE_LIKE_NOT_FOUND settings.like'],
    ['a', { like: 'a' }, 'SPACE_LIKE_NOT_FOUND settings.like'],
    ['a', { like: 'taken', rules: [byUser] }, 'ROUTING_RULE settings.rules'],
    ['a', { rules: many }, 'ROUTING_RULE settings.rules'],
    ['a', { rules: [{ ...byUser, spread: 1 }] }, 'ROUTING_RULE settings.rules[0]'],
    ['a', { rules: [{ ...byUser, spread: 4_097 }] }, 'ROUTING_RULE settings.rules[0]'],
    ['a', { rules: [{ ...byUser, fields: [] }] }, 'ROUTING_RULE settings.rules[0]'],
    ['a', { rules: [{ ...byUser, fields: [0] }] }, 'ROUTING_RULE settings.rules[0]'],
    ['a', { rules: [{ ...byUser, fields: [64] }] }, 'ROUTING_RULE settings.rules[0]'],
    ['a', { rules: [{ ...byUser, fields: [1, 1] }] }, 'ROUTING_RULE settings.rules[0]'],
    ['a', { rules: [byUser, byUser] }, 'ROUTING_RULE settings.rules'],
    ['a', { tupleBytesMax: 0 }, 'VALUE_OUT_OF_RANGE settings.tuple_bytes_max'],
    ['a', { tupleBytesMax: 3_145_729 }, 'VALUE_OUT_OF_RANGE settings.tuple_bytes_max'],
  ];
  for (const [name, settings, expected] of cases) {
    t.is(refusal(create(map, name, settings)), expected, JSON.stringify([name, settings]));
  }
  t.is(create(map, `a${'x'.repeat(127)}`, { rules: many.slice(0, 64) }).kind, 'created');
});

test('two rules for tags that are equal by value are refused (§1: 1 equals 1.0)', (t) => {
  const rules = [
    { ...byUser, tag: 1 },
    { ...byUser, tag: new Float(1) },
  ];
  t.is(refusal(create(founded(), 'a', { rules })), 'ROUTING_RULE settings.rules');
});

test('spaces are bounded, those being dropped included', (t) => {
  const map = founded();
  for (let count = 1; count < spacesMax; count += 1) created(map, `s${count}`);
  t.is(refusal(create(map, 'more')), 'SPACES_EXHAUSTED name');
  const dropped = map.space('s1');
  apply(map, { kind: 'drop-space', name: 's1' });
  t.is(refusal(create(map, 'more')), 'SPACES_EXHAUSTED name');
  if (dropped !== undefined) apply(map, { kind: 'forget-space', space: dropped.id });
  t.is(create(map, 'more').kind, 'created');
});

test('a dropped space is remembered until it is forgotten, and dropped once', (t) => {
  const map = founded();
  const space = created(map, 'a');
  apply(map, { kind: 'drop-space', name: 'a' });
  t.deepEqual(map.dropped(), [space.id]);
  t.is(refusal(apply(map, { kind: 'drop-space', name: 'a' })), 'SPACE_NOT_FOUND name');
  apply(map, { kind: 'forget-space', space: space.id });
  t.deepEqual(map.dropped(), []);
});

test('a stamp never falls, and a creation carries it', (t) => {
  const map = founded();
  apply(map, { kind: 'lead' }, 5_000);
  apply(map, { kind: 'lead' }, 4_000);
  t.is(map.stampMs, 5_000 as StampMs);
  const outcome = apply(map, { kind: 'create-space', name: 'a', settings: plain }, 4_500);
  t.is(outcome.kind === 'created' ? outcome.space.createdAtMs : 0, 5_000 as StampMs);
});

test('a map from its snapshot equals the map, and goes on alike', (t) => {
  const map = founded(33);
  created(map, 'a', { rules: [byUser, { tag: null, spread: 4_096, fields: [63] }] });
  created(map, 'b', { like: 'a', tupleBytesMax: 3_145_728 });
  created(map, 'gone');
  apply(map, { kind: 'drop-space', name: 'gone' });
  const loaded = new ClusterMap(decodeMapState(encodeMapState(map.state())));
  t.deepEqual(loaded.state(), map.state());
  t.deepEqual(create(loaded, 'next'), create(map, 'next'));
  t.deepEqual(encodeMapState(loaded.state()), encodeMapState(map.state()));
});

test('bytes of another version, and bytes that are cut off or too many, are refused', (t) => {
  const bytes = encodeMapState(founded().state());
  t.throws(() => decodeMapState(Uint8Array.of(9, ...bytes.subarray(1))), {
    name: 'FormatError',
  });
  t.throws(() => decodeMapState(bytes.subarray(0, bytes.length - 1)), { name: 'DecodeError' });
  t.throws(() => decodeMapState(Uint8Array.of(...bytes, 0)), { name: 'MapFormatError' });
  const entry = encodeMapEntry({ stampMs: 1 as StampMs, command: { kind: 'lead' } });
  t.throws(() => decodeMapEntry(Uint8Array.of(...entry.subarray(0, 2), 99)), {
    name: 'MapFormatError',
  });
});

test('every slot has one partition, the partitions are 1 to n, and none has two slots more', (t) => {
  for (const partitions of [1, 2, 3, 16, 100, 255, limits.partitionCountMax]) {
    const counts = new Map<number, number>();
    for (let slot = 0; slot < limits.slotCount; slot += 1) {
      const partition = partitionOfSlot(slot as Slot, partitions);
      counts.set(partition, (counts.get(partition) ?? 0) + 1);
    }
    t.deepEqual([...counts.keys()], [...partitionIds(partitions)]);
    t.true(Math.max(...counts.values()) - Math.min(...counts.values()) <= 1);
  }
});

test('every reason that the map gives is a row of the table of errors (§10)', (t) => {
  const reasons = [
    'ROUTING_RULE',
    'SPACES_EXHAUSTED',
    'SPACE_EXISTS',
    'SPACE_LIKE_NOT_FOUND',
    'SPACE_NAME',
    'SPACE_NOT_FOUND',
    'VALUE_OUT_OF_RANGE',
    'TOO_MANY_IN_FLIGHT',
    'DISK_FULL',
    'SHUTTING_DOWN',
  ] satisfies MapProblem['reason'][];
  for (const reason of reasons) t.true(isErrorReason(reason), reason);
});
