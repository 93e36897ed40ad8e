import { deepStrictEqual, match, ok } from 'node:assert';
import { fileURLToPath } from 'node:url';
import { loadSync, type MessageTypeDefinition } from '@grpc/proto-loader';
import { DecodeError, limits as shared } from '@tuplet/proto';
import test from 'ava';
import { InvariantError } from '../base/assert.ts';
import type { NodeId, PartitionId, Slot, SpaceId, Term } from '../base/ids.ts';
import { coordinationBatchBytesMax, coordinationBatchItemsMax } from '../base/limits.ts';
import { Prng } from '../base/prng.ts';
import type { Answer, Change } from '../coordination/messages.ts';
import type { StoredTuple } from '../space/outcome.ts';
import {
  type CoordinationBatch,
  CoordinationBatchWriter,
  type CoordinationItem,
} from './coordination-codec.ts';
import {
  bytesTuple,
  encode,
  everyKind,
  plain,
  prefixTemplate,
  read,
} from './testing-coordination.ts';
import {
  answers,
  anyItem,
  compiled,
  fromLeaderItem,
  toLeaderItem,
  toLeaders,
} from './testing-items.ts';

/** The loader's codecs are those of the protobufjs runtime. */
const loaded = loadSync('tuplet/internal/v1/coordination.proto', {
  includeDirs: [fileURLToPath(new URL('../../../../proto/', import.meta.url))],
  longs: Number,
  enums: String,
});
type Said = {
  readonly fromNode: number;
  readonly toNode: number;
  readonly items?: readonly Record<string, unknown>[];
};
const runtime = loaded['tuplet.internal.v1.CoordinationBatch'] as MessageTypeDefinition<
  object,
  Said
>;

/**
 * Holds items to this: what is read of what was written is the same, and goes on to be when the batch's
 * memory is used for something else; and the protobufjs runtime writes the same. Returns what that read.
 */
function goesThere(...some: readonly CoordinationItem[]): Said {
  const ours = encode(...some);
  const said = runtime.deserialize(ours);
  deepStrictEqual(runtime.serialize(said), ours);
  const found = read(ours);
  ours.fill(0xff);
  deepStrictEqual(plain(found), { from: 3, to: 4, items: plain(some) });
  return said;
}

for (const { name, make, path } of everyKind) {
  test(`${name} comes back as it was written, under its name in coordination.proto`, (t) => {
    const prng = new Prng(1, name);
    for (let run = 0; run < 100; run += 1) {
      const said = goesThere(make(prng));
      let inside = said.items?.[0] as Record<string, unknown>;
      for (const field of path) {
        ok(typeof inside[field] === 'object', `${field} is set`);
        inside = inside[field] as Record<string, unknown>;
      }
    }
    t.pass();
  });
}

test('batches of anything come back as they were written, in order', (t) => {
  const prng = new Prng(2);
  for (let run = 0; run < 1_000; run += 1) {
    const some = Array.from({ length: prng.below(7) }, () => anyItem(prng));
    const said = goesThere(...some);
    deepStrictEqual([said.fromNode, said.toNode], [3, 4]);
    deepStrictEqual(said.items?.length ?? 0, some.length);
  }
  t.pass();
});

/** What is read, or undefined where it is refused. Nothing but a refusal may be thrown. */
function readOrRefused(bytes: Uint8Array): CoordinationBatch | undefined {
  try {
    return read(bytes);
  } catch (error) {
    match((error as Error).name, /^(Decode|Format)Error$/);
    return undefined;
  }
}

/** Items whose batches are short enough to try all that can happen to them. */
function shortItems(prng: Prng): CoordinationItem[] {
  for (;;) {
    const some = Array.from({ length: prng.between(1, 3) }, () => anyItem(prng));
    if (encode(...some).length < 600) return some;
  }
}

test('a batch that is cut off anywhere is refused, or has fewer items', (t) => {
  const prng = new Prng(3);
  let fewer = 0;
  for (let run = 0; run < 150; run += 1) {
    const some = shortItems(prng);
    const whole = encode(...some);
    for (let end = 0; end < whole.length; end += 1) {
      // Whoever carries batches says how long they are: the end of an item ends a batch as well.
      const found = readOrRefused(whole.subarray(0, end));
      if (found === undefined) continue;
      ok(found.items.length < some.length);
      deepStrictEqual(plain(found.items), plain(some.slice(0, found.items.length)));
      fewer += 1;
    }
  }
  t.true(fewer >= 150);
});

test('a batch with any bit changed is refused, or read as one that is written the same way', (t) => {
  const prng = new Prng(4);
  let taken = 0;
  for (const { make } of everyKind) {
    let item = make(prng);
    while (encode(item).length > 400) item = make(prng);
    const whole = encode(item);
    for (let at = 0; at < whole.length; at += 1) {
      for (let bit = 0; bit < 8; bit += 1) {
        const changed = Buffer.from(whole);
        changed[at] = (changed[at] as number) ^ (1 << bit);
        const found = readOrRefused(changed);
        if (found === undefined) continue;
        const { from, to, items } = found;
        deepStrictEqual(plain(read(encode(...items)).items), plain(items));
        ok(from > 0);
        ok(to > 0);
        taken += 1;
      }
    }
  }
  t.true(taken > 10_000, `${taken}`);
});

test('a batch is full at a number of items, and at a number of bytes', (t) => {
  const writer = new CoordinationBatchWriter(1 as NodeId, 2 as NodeId);
  const attached: CoordinationItem = { kind: 'router-attached', router: 5 };
  for (let at = 0; at < coordinationBatchItemsMax; at += 1) t.true(writer.add(attached));
  t.false(writer.add(attached));
  const full = writer.finish();
  t.is(read(full).items.length, coordinationBatchItemsMax);
  const beyond = Buffer.concat([full, Buffer.of(0x22, 4, 0x22, 2, 0x08, 5)]);
  t.throws(() => read(beyond), { instanceOf: DecodeError, message: /too many items/ });

  const large = change({
    kind: 'write',
    space: 1 as SpaceId,
    tuples: [{ slot: 1 as Slot, bytes: bytesTuple(shared.tupleBytesMax), leaseMs: undefined }],
  });
  t.true(writer.add(large));
  t.true(writer.add(large));
  const before = writer.bytes;
  t.false(writer.add(large));
  t.is(writer.bytes, before);
  t.is(writer.count, 2);
  t.deepEqual(plain(read(writer.finish()).items), plain([large, large]));
  t.is(writer.count, 0);
  t.true(writer.add(attached));
  t.deepEqual(read(writer.finish()).items, [attached]);
  t.throws(() => read(new Uint8Array(coordinationBatchBytesMax + 1)), {
    instanceOf: DecodeError,
    message: /too many bytes/,
  });
});

function change(what: Change): CoordinationItem {
  const prng = new Prng(5);
  return toLeaderItem(prng, { ...toLeaders.mutate(prng), change: what });
}

function answer(what: Answer): CoordinationItem {
  return fromLeaderItem(new Prng(6), what);
}

test('the largest items fit a batch, and come back', (t) => {
  const tuple = bytesTuple(shared.tupleBytesMax);
  const stored: StoredTuple = { ...storedTuple(), bytes: tuple };
  const { id, revision, leaseEndMs } = stored;
  const widest = shared.messageBytesMax / 1_000 - 10;
  const many = Array.from({ length: 1_000 }, () => ({
    slot: 4_095 as Slot,
    bytes: bytesTuple(Math.floor(widest)),
    leaseMs: 1_000_000_000,
  }));
  const space = 2 ** 32 - 1;
  const largest: CoordinationItem[] = [
    change({ kind: 'write', space: space as SpaceId, tuples: many }),
    change({
      kind: 'write-if-absent',
      space: space as SpaceId,
      tuple: { slot: 4_095 as Slot, bytes: tuple, leaseMs: 1_000_000_000 },
      absent: compiled(prefixTemplate(shared.messageBytesMax - 20)),
    }),
    change({
      kind: 'replace',
      space: space as SpaceId,
      target: compiled(prefixTemplate(shared.messageBytesMax - 20)),
      slot: 4_095 as Slot,
      bytes: tuple,
      leaseMs: 'keep',
    }),
    answer({
      kind: 'result',
      m: 1,
      result: {
        kind: 'replaced',
        written: { id, revision, leaseEndMs },
        old: { ...stored, state: 'ready' },
        new: { ...stored, state: 'ready' },
      },
    }),
    answer({
      kind: 'found',
      m: 1,
      tuples: many.map(({ bytes }) => ({ ...stored, bytes })),
    }),
  ];
  for (const item of largest) {
    const bytes = encode(item);
    t.true(bytes.length < coordinationBatchBytesMax);
    t.true(bytes.length > shared.messageBytesMax - 20_000);
    t.deepEqual(plain(read(bytes).items), plain([item]));
  }
});

function storedTuple(): StoredTuple {
  const found = answers.found(new Prng(8));
  const [first] = found.tuples;
  if (first === undefined) throw new Error('another seed');
  return first;
}

test('an item that no batch has room for is a broken promise of the sender', (t) => {
  const bytes = bytesTuple(shared.tupleBytesMax);
  const tuples = Array.from({ length: 3 }, () => ({ slot: 1 as Slot, bytes, leaseMs: undefined }));
  const writer = new CoordinationBatchWriter(1 as NodeId, 2 as NodeId);
  t.throws(() => writer.add(change({ kind: 'write', space: 1 as SpaceId, tuples })), {
    instanceOf: InvariantError,
    message: /any item fits a batch/,
  });
});

test('what is added may change afterwards', (t) => {
  const bytes = bytesTuple(100);
  const tuple = { slot: 1 as Slot, bytes, leaseMs: undefined };
  const item = change({ kind: 'write', space: 1 as SpaceId, tuples: [tuple] });
  const before = plain(item);
  const writer = new CoordinationBatchWriter(1 as NodeId, 2 as NodeId);
  writer.add(item);
  bytes.fill(0xff);
  t.deepEqual(plain(read(writer.finish()).items[0]), before);
});

test('a batch of small operations takes few bytes for what is around the tuple', (t) => {
  const [item] = read(
    encode(
      toLeaderItem(new Prng(9), {
        kind: 'mutate',
        call: 100_000,
        operation: toLeaders.fence(new Prng(10)).operation,
        epoch: 40 as Term,
        m: 1,
        change: {
          kind: 'write',
          space: 3 as SpaceId,
          tuples: [{ slot: 4_000 as Slot, bytes: bytesTuple(200), leaseMs: undefined }],
        },
      }),
    ),
  ).items;
  ok(item?.kind === 'to-leader');
  const size = encode({ ...item, partition: 16 as PartitionId, router: 2 ** 30 }).length;
  t.true(size <= 200 + 90, `${size} bytes`);
});
