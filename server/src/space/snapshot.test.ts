import { fileURLToPath } from 'node:url';
import { loadSync, type MessageTypeDefinition } from '@grpc/proto-loader';
import { DecodeError, Reader } from '@tuplet/proto';
import test from 'ava';
import type { LogIndex, PartitionId, SessionId, TupleId } from '../base/ids.ts';
import { decodeEvent } from './event-codec.ts';
import { Space } from './space.ts';
import { away, Driver, home, op, other, tuple } from './testing-driver.ts';

const includeDirs = [fileURLToPath(new URL('../../../../proto/', import.meta.url))];
const loaded = loadSync('tuplet/internal/v1/snapshot.proto', {
  includeDirs,
  longs: Number,
  oneofs: true,
  defaults: true,
  enums: String,
});
interface Item {
  readonly item: string;
  readonly header?: object;
  readonly homeSession?: object;
  readonly events?: Buffer;
  readonly operation?: { readonly sequence: number; readonly handed: readonly number[] };
}
const runtime = loaded['tuplet.internal.v1.SnapshotItem'] as MessageTypeDefinition<object, Item>;

/** An end leaves something to be given back. */
const bounds = { batchTuplesMax: 3 };

/** A space with something of everything. */
function full(): Driver {
  const d = new Driver(bounds);
  const session = (2 ** 44 + 1) as SessionId;
  d.do({ kind: 'open-session', leaseMs: 5_000, name: 'worker' });
  d.do({ kind: 'touch', session, partition: 4 as PartitionId });
  d.know(away);
  d.know(session);
  const ids = ['a', 'b', 'c', 'd'].map((text) => d.write(text, { leaseMs: 5_000 })) as TupleId[];
  const [a, b, c, e] = ids as [TupleId, TupleId, TupleId, TupleId];
  d.hand(op(away, 2), c, a);
  d.fence(op(away, 3, 2));
  const { revision } = d.space.stored(d.space.rowOf(b));
  d.do({
    kind: 'replace',
    operation: op(session, 1),
    tuple: b,
    revision,
    bytes: new Uint8Array([66]),
    leaseMs: 'keep',
  });
  d.do({
    kind: 'renew',
    operation: { kind: 'request', requestId: 'aa', space: home },
    tuple: e,
    leaseMs: undefined,
  });
  d.do({
    kind: 'write',
    operation: { kind: 'request', requestId: 'bb', space: home },
    space: home,
    tuples: [tuple('x')],
    absence: undefined,
    handOvers: [],
  });
  d.cancel(d.write('gone'), { kind: 'request', requestId: 'cc', space: home });
  d.write('y', { space: 2, slot: 9 });
  d.do({ kind: 'drop-space', space: home });
  d.end(other);
  const third = (9 * 2 ** 44 + 3) as SessionId;
  d.know(third);
  d.hand(op(third, 1), ...['k', 'l', 'm', 'n', 'o'].map((text) => d.write(text, { space: 3 })));
  d.end(third);
  return d;
}

function chunksOf(space: Space, size: number): Uint8Array[] {
  const cut = space.beginSnapshot();
  const chunks: Uint8Array[] = [];
  for (let chunk = cut.next(size); chunk !== undefined; chunk = cut.next(size)) chunks.push(chunk);
  return chunks;
}

test('chunks of any size make the same space', (t) => {
  const d = full();
  const whole = Buffer.concat(chunksOf(d.space, 1e9));
  for (const size of [1, 2, 3, 7, 64, 1_000, 1e6]) {
    const chunks = chunksOf(d.space, size);
    t.true(chunks.slice(0, -1).every((chunk) => chunk.length === size));
    t.true(Buffer.concat(chunks).equals(whole));
    const copy = Space.load(chunks);
    copy.verify();
    t.is(copy.stateHash(), d.space.stateHash());
  }
});

test('the protobufjs runtime reads every item and writes it back byte for byte', (t) => {
  const reader = new Reader(Buffer.concat(chunksOf(full().space, 1e9)));
  const kinds = new Set<string>();
  let events = 0;
  while (reader.position < reader.end) {
    const raw = Buffer.from(reader.lengthDelimited());
    const item = runtime.deserialize(raw);
    kinds.add(item.item);
    if (item.item === 'header')
      t.like(item.header ?? {}, { formatVersion: 4, partition: 1, droppedSpaces: [1] });
    if (item.item === 'homeSession')
      t.like(item.homeSession ?? {}, { name: 'worker', leaseMs: 5_000, touched: [4] });
    if (item.item === 'operation' && item.operation?.sequence === 2) {
      t.deepEqual(item.operation?.handed, [2 ** 44 + 3, 2 ** 44 + 1]);
    }
    for (const event of item.events === undefined ? [] : eventsOf(item.events)) {
      const read = decodeEvent(event);
      t.true(read.tuple.id > 2 ** 44 && read.space > 0);
      events += 1;
    }
    const again = loadedWithoutDefaults.serialize(loadedWithoutDefaults.deserialize(raw));
    t.true(again.equals(raw), item.item);
  }
  t.is(kinds.size, 10);
  t.true(events > 10);
});

const withoutDefaults = loadSync('tuplet/internal/v1/snapshot.proto', {
  includeDirs,
  longs: Number,
});
const loadedWithoutDefaults = withoutDefaults[
  'tuplet.internal.v1.SnapshotItem'
] as MessageTypeDefinition<object, object>;

/** The events of one item. */
function eventsOf(run: Buffer): Buffer[] {
  const events: Buffer[] = [];
  for (let at = 0; at < run.length; ) {
    const end = at + 4 + run.readUInt32LE(at);
    events.push(run.subarray(at + 4, end));
    at = end;
  }
  return events;
}

test('an empty space survives its snapshot', (t) => {
  const d = new Driver();
  const copy = Space.load(chunksOf(d.space, 100));
  t.is(copy.stateHash(), d.space.stateHash());
  t.is(copy.partition, d.space.partition);
});

test('a snapshot that ends early or goes on after its end is refused', (t) => {
  const d = full();
  const whole = Buffer.concat(chunksOf(d.space, 1e9));
  for (let size = 0; size < whole.length; size += 13) {
    t.throws(() => Space.load([whole.subarray(0, size)]), { instanceOf: DecodeError });
  }
  t.throws(() => Space.load([whole, new Uint8Array([0])]), { instanceOf: DecodeError });
  t.throws(() => Space.load([whole, whole]), { instanceOf: DecodeError });
});

test('a snapshot with a byte changed never passes for the same state', (t) => {
  const d = full();
  const whole = Buffer.concat(chunksOf(d.space, 1e9));
  const hash = d.space.stateHash();
  let refused = 0;
  // The header is mostly 4,096 equal bytes of slot changes.
  for (let at = 0; at < whole.length; at += at > 40 && at < 4_100 ? 97 : 1) {
    const changed = Buffer.from(whole);
    changed[at] = (changed[at] as number) ^ 1;
    try {
      if (Space.load([changed]).stateHash() === hash) t.fail(`byte ${at}`);
    } catch {
      // Refused as malformed, or by an assertion: the file's checksum comes before either.
      refused += 1;
    }
  }
  t.true(refused > 100);
});

test('one snapshot is cut at a time; giving it up frees what it held', (t) => {
  const d = full();
  const cut = d.space.beginSnapshot();
  cut.next(10);
  t.throws(() => d.space.beginSnapshot(), { message: /one snapshot/ });
  cut.abort();
  cut.abort();
  d.write('z');
  const copy = Space.load(chunksOf(d.space, 50));
  t.is(copy.stateHash(), d.space.stateHash());
});

test('the hash tells states apart that differ in one thing only', (t) => {
  const seen = new Set<bigint>();
  const add = (change: (d: Driver) => void) => {
    const d = full();
    change(d);
    t.false(seen.has(d.space.stateHash()));
    seen.add(d.space.stateHash());
  };
  add(() => {});
  add((d) => d.do({ kind: 'lead' }));
  add((d) => d.do({ kind: 'lead' }, 1));
  add((d) => d.fence(op(away, 3, 3)));
  add((d) => d.fence(op(away, 4, 2)));
  add((d) => d.know((9 * 2 ** 44 + 77) as SessionId));
  add((d) => d.end((9 * 2 ** 44 + 77) as SessionId));
  add((d) => d.do({ kind: 'give-back' }));
  add((d) => d.write('q'));
  add((d) => d.write('r'));
  add((d) => d.receipt(away, 2, (2 ** 44 + 1) as TupleId));
});

test('a loaded space gives new ids, remembers requests and gives back what is not acknowledged [4.14]', (t) => {
  const d = full();
  const twin = new Driver();
  twin.space = Space.load(chunksOf(d.space, 500), bounds);
  twin.stampMs = d.stampMs;
  for (const driver of [d, twin]) {
    driver.write('new');
    driver.end(away);
    t.is(driver.space.returning, 1);
    driver.do({ kind: 'give-back' });
    driver.cancel(1 as TupleId, { kind: 'request', requestId: 'cc', space: home });
    t.like(driver.space.result({ kind: 'request', requestId: 'cc', space: home }), {
      kind: 'cancelled',
      found: true,
    });
  }
  t.deepEqual(twin.events(), d.events());
  t.deepEqual(twin.ready(), d.ready());
  t.is(twin.space.stateHash(), d.space.stateHash());
});

test('tuples of 3 MiB and their replacements pass through a snapshot in small chunks', (t) => {
  const d = new Driver();
  const big = new Uint8Array(3 * 1024 * 1024).fill(1);
  d.do({
    kind: 'write',
    operation: undefined,
    space: home,
    tuples: [{ ...tuple('a'), bytes: big }],
    absence: undefined,
    handOvers: [],
  });
  const id = (2 ** 44 + 1) as TupleId;
  d.do({
    kind: 'replace',
    operation: undefined,
    tuple: id,
    revision: 1 as LogIndex,
    bytes: big.slice(1),
    leaseMs: 'keep',
  });
  const chunks = chunksOf(d.space, 262_144);
  t.true(chunks.every((chunk) => chunk.length <= 262_144));
  t.is(Space.load(chunks).stateHash(), d.space.stateHash());
});
