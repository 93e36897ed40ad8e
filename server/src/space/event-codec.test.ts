import test from 'ava';
import fc from 'fast-check';
import type { LogIndex, PartitionId, Slot, SpaceId, StampMs } from '../base/ids.ts';
import {
  decodeEvent,
  eventBytes,
  eventHeadBytes,
  historyKinds,
  placeOf,
  putEvent,
} from './event-codec.ts';
import type { HistoryKind } from './history.ts';
import type { StoredTuple } from './outcome.ts';
import type { TupleColumns } from './rows.ts';
import { slackBytes } from './slabs.ts';
import { TupleStore } from './tuple-store.ts';

const partition = 3 as PartitionId;
const before = 5;

interface Written {
  readonly kind: HistoryKind;
  readonly head: { revision: number; position: number; stampMs: number };
  readonly columns: TupleColumns;
  readonly bytes: Uint8Array;
  readonly old: Uint8Array | undefined;
  readonly oldRevision: number;
}

/** The event's bytes, written behind others that must stay as they are. */
function encode(t: { true(value: boolean): void }, event: Written): Uint8Array {
  const tuples = new TupleStore(partition);
  const row = tuples.add(event.columns, event.bytes);
  const old: StoredTuple | undefined = event.old && {
    ...tuples.stored(row),
    revision: event.oldRevision as LogIndex,
    bytes: event.old,
  };
  const length = eventBytes(tuples, row, old);
  const bytes = new Uint8Array(before + length + slackBytes).fill(0xee);
  const room = { bytes, view: new DataView(bytes.buffer) };
  putEvent(room, before, event.kind, event.head, tuples, row, old);
  t.true(bytes.subarray(0, before).every((byte) => byte === 0xee));
  return bytes.subarray(before, before + length);
}

test('an event lies in memory and in snapshots as the table in snapshot.proto says', (t) => {
  const columns = {
    counter: 0x0102_0304_0506,
    revision: 0x1112_1314_1516 as LogIndex,
    writtenAtMs: 0x2122_2324_2526 as StampMs,
    space: 0x3132_3334 as SpaceId,
    slot: 0x0a42 as Slot,
    handed: false,
    deliveries: 0x1152_5354,
    leaseEndMs: 0x6162_6364_6566,
  };
  const head = { revision: 0x7172_7374_7576, position: 0x4142_4344, stampMs: 0x5152_5354_5556 };
  const bytes = new Uint8Array([0xa1, 0xa2, 0xa3]);
  const old = new Uint8Array([0xb1]);
  const oldRevision = 0x0d0e_0f10_1112;
  const event = encode(t, { kind: 'replaced', head, columns, bytes, old, oldRevision });
  const expected = [
    '00 04 42 0a  44 43 42 41', // last, kind, slot; position
    '76 75 74 73  56 55 54 53', // revision, stamp
    '72 71  52 51  34 33 32 31', // their upper halves; space
    '06 05 04 03  02 31 00 00', // id: partition 3 is 0x3000 × 2^32
    '16 15 14 13  26 25 24 23', // revision of the form, written
    '66 65 64 63  12 11  22 21', // lease; upper halves of the two before it
    '54 53 52 11  03 00 00 00', // deliveries, size
    '62 61  0e 0d  12 11 10 0f', // upper halves of the lease and of the old revision; the latter
    'a1 a2 a3  b1', // the two forms
  ];
  t.is(Buffer.from(event).toString('hex'), expected.join('').replaceAll(' ', ''));
});

const wide = fc.integer({ min: 1, max: 2 ** 48 - 1 });
const word = fc.nat({ max: 2 ** 32 - 1 });
const size = { minLength: 1, maxLength: 300 };
const kinds = Object.keys(historyKinds) as HistoryKind[];
const columnsOf = fc.record({
  counter: fc.integer({ min: 1, max: 2 ** 44 - 1 }),
  revision: wide as fc.Arbitrary<LogIndex>,
  writtenAtMs: fc.nat({ max: 2 ** 48 - 1 }) as fc.Arbitrary<StampMs>,
  space: word as fc.Arbitrary<SpaceId>,
  slot: fc.nat({ max: 4_095 }) as fc.Arbitrary<Slot>,
  handed: fc.boolean(),
  deliveries: fc.nat({ max: 2 ** 30 - 1 }),
  leaseEndMs: fc.oneof(wide, fc.constant(Number.POSITIVE_INFINITY)),
});

test('what was written of an event is read again, whatever its numbers and sizes', (t) => {
  const event = fc.record({
    kind: fc.constantFrom(...kinds),
    head: fc.record({ revision: wide, position: word, stampMs: wide }),
    columns: columnsOf,
    bytes: fc.uint8Array(size),
    old: fc.uint8Array(size),
    oldRevision: wide,
  });
  fc.assert(
    fc.property(event, (all) => {
      const { kind, head, columns, bytes, oldRevision } = all;
      const old = kind === 'replaced' ? all.old : undefined;
      const record = encode(t, { ...all, old });
      const { revision, position } = head;
      t.deepEqual(placeOf(record), { revision: revision as LogIndex, position });
      const { leaseEndMs } = columns;
      t.deepEqual(decodeEvent(record), {
        place: { revision: revision as LogIndex, position },
        kind,
        last: false,
        stampMs: head.stampMs as StampMs,
        space: columns.space,
        slot: columns.slot,
        tuple: {
          id: partition * 2 ** 44 + columns.counter,
          revision: columns.revision,
          bytes,
          deliveries: columns.deliveries,
          writtenAtMs: columns.writtenAtMs,
          leaseEndMs: leaseEndMs === Number.POSITIVE_INFINITY ? undefined : leaseEndMs,
          state: kind === 'taken' ? 'handed' : 'ready',
        },
        old: old && { revision: oldRevision, bytes: old },
      } as ReturnType<typeof decodeEvent>);
      if (old === undefined) {
        t.throws(() => decodeEvent(record.subarray(0, -1)));
        t.throws(() => decodeEvent(Buffer.concat([record, Buffer.alloc(1)])));
      } else t.throws(() => decodeEvent(record.subarray(0, eventHeadBytes + bytes.length - 1)));
    }),
  );
});
