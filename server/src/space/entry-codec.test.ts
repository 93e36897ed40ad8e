import { deepStrictEqual, match, throws } from 'node:assert';
import { fileURLToPath } from 'node:url';
import { loadSync, type MessageTypeDefinition } from '@grpc/proto-loader';
import { DecodeError, Writer } from '@tuplet/proto';
import test from 'ava';
import fc from 'fast-check';
import { FormatError } from '../base/format-error.ts';
import type {
  Attempt,
  LogIndex,
  PartitionId,
  Sequence,
  SessionId,
  Slot,
  SpaceId,
  StampMs,
  TupleId,
} from '../base/ids.ts';
import type { Command, Entry, NewTuple, Operation, SessionOperation } from './command.ts';
import { readEntry, writeEntry } from './entry-codec.ts';

/** The loader's codecs are those of the protobufjs runtime. */
const includeDirs = [fileURLToPath(new URL('../../../../proto/', import.meta.url))];
const loaded = loadSync('tuplet/internal/v1/log.proto', {
  includeDirs,
  longs: Number,
  oneofs: true,
});
type Message = {
  readonly formatVersion: number;
  readonly stampMs: number;
  readonly command: string;
};
const runtime = loaded['tuplet.internal.v1.Entry'] as MessageTypeDefinition<object, Message>;

const wide = fc.oneof(fc.integer({ min: 1, max: 300 }), fc.integer({ min: 1, max: 2 ** 53 - 1 }));
const as = <T extends number>(arbitrary: fc.Arbitrary<number>) => arbitrary as fc.Arbitrary<T>;
const bytes = fc.uint8Array({ minLength: 1, maxLength: 40 });
const lease = fc.option(wide, { nil: undefined });
const slot = as<Slot>(fc.nat({ max: 4_095 }));
const session: fc.Arbitrary<SessionOperation> = fc.record({
  kind: fc.constant('session'),
  session: as<SessionId>(wide),
  sequence: as<Sequence>(wide),
  attempt: as<Attempt>(wide),
  floor: as<Sequence>(wide),
});
const space = as<SpaceId>(fc.integer({ min: 1, max: 2 ** 32 - 1 }));
const requestId = fc
  .uint8Array({ minLength: 1, maxLength: 64 })
  .map((id) => Buffer.from(id).toString('hex'));
const operation: fc.Arbitrary<Operation | undefined> = fc.option(
  fc.oneof(session, fc.record({ kind: fc.constant('request' as const), requestId, space })),
  { nil: undefined },
);
const tuple = as<TupleId>(wide);
const tuples = fc.uniqueArray(tuple, { minLength: 1, maxLength: 9 });
const newTuple: fc.Arbitrary<NewTuple> = fc.record({ slot, bytes, leaseMs: lease });
const written = fc.array(newTuple, { minLength: 1, maxLength: 5 });
const one = <K extends 'know' | 'end' | 'forget-session'>(kind: K) =>
  fc.record({ kind: fc.constant(kind), session: as<SessionId>(wide) });

const write = written.chain((news) =>
  fc.record({
    kind: fc.constant('write' as const),
    operation,
    space,
    tuples: fc.constant(news),
    absence: fc.option(fc.record({ slot, lastChange: as<LogIndex>(fc.nat()) }), { nil: undefined }),
    handOvers: fc
      .uniqueArray(fc.nat({ max: news.length - 1 }), { maxLength: 3 })
      .chain((at) => fc.tuple(...at.map((i) => session.map((to) => ({ tuple: i, to }))))),
  }),
);

/** One of each kind: a kind that is missing here does not compile. */
const commands: { readonly [K in Command['kind']]: fc.Arbitrary<Command & { kind: K }> } = {
  write,
  hand: fc.record({ kind: fc.constant('hand'), operation: session, tuples }),
  fence: fc.record({ kind: fc.constant('fence'), operation: session }),
  receipt: fc.record({
    kind: fc.constant('receipt'),
    session: as<SessionId>(wide),
    floor: as<Sequence>(wide),
    receipts: fc.array(fc.record({ sequence: as<Sequence>(wide), tuple })),
  }),
  replace: fc.record({
    kind: fc.constant('replace'),
    operation,
    tuple,
    revision: as<LogIndex>(wide),
    bytes,
    leaseMs: fc.oneof(wide, fc.constant('keep' as const)),
  }),
  cancel: fc.record({ kind: fc.constant('cancel'), operation, tuple }),
  renew: fc.record({ kind: fc.constant('renew'), operation, tuple, leaseMs: lease }),
  expire: fc.record({ kind: fc.constant('expire'), tuples }),
  'open-session': fc.record({
    kind: fc.constant('open-session'),
    leaseMs: wide,
    name: fc.string({ unit: 'grapheme', maxLength: 20 }),
  }),
  touch: fc.record({
    kind: fc.constant('touch'),
    session: as<SessionId>(wide),
    partition: as<PartitionId>(fc.integer({ min: 1, max: 256 })),
  }),
  know: one('know'),
  end: one('end'),
  'forget-session': one('forget-session'),
  'drop-space': fc.record({ kind: fc.constant('drop-space'), space: as<SpaceId>(wide) }),
  lead: fc.record({ kind: fc.constant('lead') }),
  'give-back': fc.record({ kind: fc.constant('give-back') }),
};
const entry: fc.Arbitrary<Entry> = fc.record({
  stampMs: as<StampMs>(wide),
  command: fc.oneof(...Object.values(commands)) as fc.Arbitrary<Command>,
});

function encode(value: Entry): Uint8Array {
  const writer = new Writer(16);
  writeEntry(writer, value);
  return writer.finish();
}

for (const [kind, arbitrary] of Object.entries(commands)) {
  test(`an entry with ${kind} comes back as it was written`, (t) => {
    const property = fc.property(fc.tuple(wide, arbitrary as fc.Arbitrary<Command>), (made) => {
      const value: Entry = { stampMs: made[0] as StampMs, command: made[1] };
      const read = readEntry(encode(value));
      deepStrictEqual(read, structuredClone(value));
    });
    fc.assert(property, { numRuns: 200 });
    t.pass();
  });
}

test('the protobufjs runtime reads what we write, and writes it back byte for byte', (t) => {
  const property = fc.property(entry, (value) => {
    const ours = encode(value);
    const message = runtime.deserialize(Buffer.from(ours));
    deepStrictEqual(runtime.serialize(message), Buffer.from(ours));
    deepStrictEqual(message.formatVersion, 2);
    deepStrictEqual(message.stampMs, value.stampMs);
    const kind = value.command.kind.replace(/-(.)/g, (_, letter: string) => letter.toUpperCase());
    deepStrictEqual(message.command, kind);
  });
  fc.assert(property, { numRuns: 2_000 });
  t.pass();
});

test('each field has the name that log.proto gives it', (t) => {
  const value: Entry = {
    stampMs: 9 as StampMs,
    command: {
      kind: 'write',
      operation: {
        kind: 'session',
        session: 11 as SessionId,
        sequence: 12 as Sequence,
        attempt: 13 as Attempt,
        floor: 10 as Sequence,
      },
      space: 21 as SpaceId,
      tuples: [{ slot: 22 as Slot, bytes: new Uint8Array([1, 2]), leaseMs: 23 }],
      absence: { slot: 24 as Slot, lastChange: 25 as LogIndex },
      handOvers: [
        {
          tuple: 0,
          to: {
            kind: 'session',
            session: 31 as SessionId,
            sequence: 32 as Sequence,
            attempt: 33 as Attempt,
            floor: 30 as Sequence,
          },
        },
      ],
    },
  };
  const message = runtime.deserialize(Buffer.from(encode(value)));
  t.like(message, {
    formatVersion: 2,
    stampMs: 9,
    write: {
      operation: { session: { session: 11, sequence: 12, attempt: 13, floor: 10 } },
      space: 21,
      tuples: [{ slot: 22, tuple: Buffer.from([1, 2]), leaseMs: 23 }],
      absence: { slot: 24, lastChange: 25 },
      handOvers: [{ to: { session: 31, sequence: 32, attempt: 33, floor: 30 } }],
    },
  });
});

test('an entry that is cut off anywhere is refused', (t) => {
  const property = fc.property(
    entry,
    fc.double({ min: 0, max: 0.999, noNaN: true }),
    (value, at) => {
      const whole = encode(value);
      const part = whole.subarray(0, Math.floor(whole.length * at));
      throws(() => readEntry(part), DecodeError);
    },
  );
  fc.assert(property, { numRuns: 1_000 });
  t.pass();
});

test('changed bytes are refused or read as another entry that is written the same way', (t) => {
  const property = fc.property(
    entry,
    fc.nat(),
    fc.integer({ min: 1, max: 255 }),
    (value, at, by) => {
      const changed = encode(value);
      const i = at % changed.length;
      changed[i] = (changed[i] as number) ^ by;
      let read: Entry;
      try {
        read = readEntry(changed);
      } catch (error) {
        match((error as Error).name, /^(Decode|Format)Error$/);
        return;
      }
      // A varint may have been made longer than it need be; what it says must survive.
      deepStrictEqual(readEntry(encode(read)), read);
    },
  );
  fc.assert(property, { numRuns: 3_000 });
  t.pass();
});

const end: Entry = { stampMs: 5 as StampMs, command: { kind: 'end', session: 7 as SessionId } };

test('another format, an unknown field, a field twice and a second command are refused', (t) => {
  const good = [...encode(end)];
  t.deepEqual(good, [0x08, 2, 0x10, 5, 0x72, 2, 0x08, 7]);
  const refused = (...raw: number[]) =>
    t.throws(() => readEntry(Uint8Array.from(raw)), { instanceOf: DecodeError });
  const other = [0x08, 3, 0x10, 5, 0x72, 2, 0x08, 7];
  // Also where it has fields that this one has not.
  for (const raw of [other, [...other, 0xf8, 0x01, 1]]) {
    const error = t.throws(() => readEntry(Uint8Array.from(raw)), { instanceOf: FormatError });
    t.deepEqual(error?.format, { what: 'log entry', found: 3, read: 2 });
  }
  refused(0x10, 5, 0x72, 2, 0x08, 7);
  refused(0x08, 2, 0x10, 5);
  refused(...good, 0xf8, 0x01, 1);
  refused(0x08, 2, 0x08, 2, 0x10, 5, 0x72, 2, 0x08, 7);
  refused(...good, 0x7a, 2, 0x08, 7);
  refused(0x08, 2, 0x72, 2, 0x08, 7, 0x10, 5);
  refused(0x08, 2, 0x10, 5, 0x72, 4, 0x08, 7, 0x10, 1);
  refused(0x08, 2, 0x10, 5, 0x72, 0);
  refused(0x08, 2, 0x10, 5, 0x70, 7);
});

test('numbers out of their bounds are refused', (t) => {
  const refused = (command: Command) =>
    t.throws(() => readEntry(encode({ ...end, command })), { instanceOf: DecodeError });
  const base = {
    kind: 'write',
    operation: undefined,
    space: 1 as SpaceId,
    absence: undefined,
  } as const;
  const good: NewTuple = { slot: 1 as Slot, bytes: new Uint8Array(1), leaseMs: undefined };
  const to = { kind: 'session', session: 1, sequence: 1, attempt: 1, floor: 1 } as SessionOperation;
  refused({ ...base, tuples: [], handOvers: [] });
  refused({ ...base, tuples: new Array(1_001).fill(good), handOvers: [] });
  refused({ ...base, tuples: [{ ...good, slot: 4_096 as Slot }], handOvers: [] });
  refused({ ...base, tuples: [{ ...good, leaseMs: 0 }], handOvers: [] });
  refused({ ...base, tuples: [good], handOvers: [{ tuple: 1, to }] });
  refused({
    ...base,
    tuples: [good],
    handOvers: [
      { tuple: 0, to },
      { tuple: 0, to },
    ],
  });
  refused({ kind: 'hand', operation: to, tuples: [] });
  refused({ kind: 'hand', operation: to, tuples: [4 as TupleId, 4 as TupleId] });
  refused({
    kind: 'cancel',
    operation: { kind: 'request', requestId: 'AB', space: 1 as SpaceId },
    tuple: 1 as TupleId,
  });
  refused({
    kind: 'cancel',
    operation: { kind: 'request', requestId: 'ab', space: 0 as SpaceId },
    tuple: 1 as TupleId,
  });
  refused({
    kind: 'cancel',
    operation: { kind: 'request', requestId: 'abc', space: 1 as SpaceId },
    tuple: 1 as TupleId,
  });
});
