import { deepStrictEqual, match, throws } from 'node:assert';
import { fileURLToPath } from 'node:url';
import { loadSync, type MessageTypeDefinition } from '@grpc/proto-loader';
import { DecodeError } from '@tuplet/proto';
import test from 'ava';
import fc from 'fast-check';
import { InvariantError } from '../base/assert.ts';
import { FormatError } from '../base/format-error.ts';
import type { GroupId, NodeId } from '../base/ids.ts';
import { raftBatchBytesMax, raftBatchMessagesMax } from '../base/limits.ts';
import type { Configuration } from '../raft/configuration.ts';
import { Entry, EntryKind, Message, MessageKind, type Snapshot } from '../raft/message.ts';
import { PayloadMemory } from './payload-memory.ts';
import { type GroupMessage, type RaftBatch, RaftBatchWriter, readRaftBatch } from './raft-codec.ts';

/** The loader's codecs are those of the protobufjs runtime. */
const includeDirs = [fileURLToPath(new URL('../../../../proto/', import.meta.url))];
const loaded = loadSync('tuplet/internal/v1/raft.proto', {
  includeDirs,
  longs: Number,
  enums: String,
});
type Said = { readonly fromNode: number; readonly messages?: readonly object[] };
const runtime = loaded['tuplet.internal.v1.RaftBatch'] as MessageTypeDefinition<object, Said>;

const wide = fc.oneof(fc.integer({ min: 1, max: 300 }), fc.integer({ min: 1, max: 2 ** 53 - 1 }));
const orZero = fc.oneof(fc.constant(0), wide);
const bytes = fc.oneof(fc.constant(new Uint8Array(0)), fc.uint8Array({ maxLength: 200 }));
const entryKind = fc.constantFrom(...Object.values(EntryKind));
/** What is compared has the prototype that an object of ours has. */
const plain = { noNullPrototype: true } as const;
const ids = fc.uniqueArray(wide, { maxLength: 7 }).map((some) => some.sort((a, b) => a - b));
const configuration: fc.Arbitrary<Configuration> = fc.record(
  {
    voters: ids,
    outgoing: ids,
    learners: ids,
    learnersNext: ids,
    autoLeave: fc.boolean(),
  },
  plain,
);
const snapshot: fc.Arbitrary<Snapshot> = fc.record(
  {
    index: wide,
    term: wide,
    configuration,
    payload: bytes,
  },
  plain,
);
const content = fc.array(fc.tuple(wide, entryKind, bytes), { maxLength: 5 });

function messageOf(kind: MessageKind): fc.Arbitrary<Message> {
  return fc
    .record({
      from: wide,
      to: wide,
      term: orZero,
      logTerm: orZero,
      index: fc.oneof(fc.nat({ max: 300 }), fc.nat({ max: 2 ** 53 - 100 })),
      commit: orZero,
      commitTerm: orZero,
      reject: fc.boolean(),
      hint: orZero,
      context: orZero,
      forced: fc.boolean(),
      wallMs: orZero,
      content,
      snapshot,
    })
    .map(({ from, to, term, content: said, snapshot: state, ...rest }) => {
      const message = Object.assign(new Message(kind, from, to, term), rest);
      if (kind === MessageKind.propose) {
        message.entries = said.map(([, what, payload]) => new Entry(0, 0, what, payload));
      } else if (kind === MessageKind.append) {
        message.entries = said.map(
          ([made, what, payload], at) => new Entry(made, rest.index + 1 + at, what, payload),
        );
      } else if (kind === MessageKind.snapshot) message.snapshot = state;
      return message;
    });
}

const kinds = Object.entries(MessageKind) as [keyof typeof MessageKind, MessageKind][];
const group = fc.nat({ max: 256 }) as unknown as fc.Arbitrary<GroupId>;
const grouped = fc.record(
  {
    group,
    message: fc.oneof(...kinds.map(([, kind]) => messageOf(kind))),
  },
  plain,
);
const batch: fc.Arbitrary<RaftBatch> = fc.record(
  {
    from: wide as fc.Arbitrary<number> as fc.Arbitrary<NodeId>,
    to: wide as fc.Arbitrary<number> as fc.Arbitrary<NodeId>,
    messages: fc.array(grouped, { maxLength: 6 }),
  },
  plain,
);

const memory = new PayloadMemory();
const read = (bytes: Uint8Array): RaftBatch => readRaftBatch(bytes, memory);

function encode({ from, to, messages }: RaftBatch): Uint8Array {
  const writer = new RaftBatchWriter(from, to);
  for (const each of messages) if (!writer.add(each.group, each.message)) throw new Error('full');
  return writer.finish();
}

for (const [name, kind] of kinds) {
  test(`a message of kind ${name} comes back as it was written`, (t) => {
    const property = fc.property(group, messageOf(kind), (id, message) => {
      const value = { from: 1 as NodeId, to: 2 as NodeId, messages: [{ group: id, message }] };
      deepStrictEqual(read(encode(value)), value);
    });
    fc.assert(property, { numRuns: 200 });
    t.pass();
  });
}

test('the protobufjs runtime reads what we write, and writes it back byte for byte', (t) => {
  const property = fc.property(batch, (value) => {
    const ours = encode(value);
    const said = runtime.deserialize(Buffer.from(ours));
    deepStrictEqual(runtime.serialize(said), Buffer.from(ours));
    deepStrictEqual(said.fromNode, value.from);
    deepStrictEqual(said.messages?.length ?? 0, value.messages.length);
    deepStrictEqual(read(ours), value);
  });
  fc.assert(property, { numRuns: 2_000 });
  t.pass();
});

function one(kind: MessageKind, rest: Partial<Message> = {}): RaftBatch {
  const message = Object.assign(new Message(kind, 11, 12, 13), rest);
  return { from: 1 as NodeId, to: 2 as NodeId, messages: [{ group: 7 as GroupId, message }] };
}

test('each field has the name that raft.proto gives it', (t) => {
  const append = one(MessageKind.append, {
    logTerm: 14,
    index: 15,
    commit: 16,
    commitTerm: 17,
    reject: true,
    hint: 18,
    context: 19,
    forced: true,
    wallMs: 21,
    entries: [new Entry(20, 16, EntryKind.change, new Uint8Array([1, 2]))],
  });
  t.deepEqual(runtime.deserialize(Buffer.from(encode(append))) as object, {
    formatVersion: 1,
    fromNode: 1,
    toNode: 2,
    messages: [
      {
        group: 7,
        kind: 'RAFT_MESSAGE_KIND_APPEND',
        from: 11,
        to: 12,
        term: 13,
        logTerm: 14,
        index: 15,
        commit: 16,
        commitTerm: 17,
        reject: true,
        hint: 18,
        context: 19,
        forced: true,
        entries: [
          { term: 20, index: 16, kind: 'RAFT_ENTRY_KIND_CHANGE', payload: Buffer.from([1, 2]) },
        ],
        wallMs: 21,
      },
    ],
  });
  const state: Snapshot = {
    index: 21,
    term: 22,
    configuration: {
      voters: [1, 300],
      outgoing: [2],
      learners: [3],
      learnersNext: [4],
      autoLeave: true,
    },
    payload: new Uint8Array([5]),
  };
  t.like(runtime.deserialize(Buffer.from(encode(one(MessageKind.snapshot, { snapshot: state })))), {
    messages: [
      {
        kind: 'RAFT_MESSAGE_KIND_SNAPSHOT',
        snapshot: {
          index: 21,
          term: 22,
          configuration: {
            voters: [1, 300],
            outgoingVoters: [2],
            learners: [3],
            learnersNext: [4],
            autoLeave: true,
          },
          payload: Buffer.from([5]),
        },
      },
    ],
  });
});

test('each kind has the name that raft.proto gives it', (t) => {
  for (const [name, kind] of kinds) {
    const value = one(kind);
    if (kind === MessageKind.snapshot) continue;
    const upper = name.replace(/[A-Z]/g, '_$&').toUpperCase();
    const said = runtime.deserialize(Buffer.from(encode(value)));
    t.like(said.messages?.[0], { kind: `RAFT_MESSAGE_KIND_${upper}` });
  }
});

test('a batch that is cut off is refused, or has fewer messages', (t) => {
  const property = fc.property(
    batch,
    fc.double({ min: 0, max: 0.999, noNaN: true }),
    (value, at) => {
      const whole = encode(value);
      const part = whole.subarray(0, Math.floor(whole.length * at));
      let found: RaftBatch;
      try {
        found = read(part);
      } catch (error) {
        match((error as Error).name, /^DecodeError$/);
        return;
      }
      // Whoever carries batches says how long they are: the end of a message ends a batch as well.
      deepStrictEqual(found.messages, value.messages.slice(0, found.messages.length));
      deepStrictEqual(found.messages.length < value.messages.length, true);
    },
  );
  fc.assert(property, { numRuns: 1_000 });
  t.pass();
});

test('changed bytes are refused or read as another batch that is written the same way', (t) => {
  const property = fc.property(
    batch,
    fc.nat(),
    fc.integer({ min: 1, max: 255 }),
    (value, at, by) => {
      const changed = encode(value);
      const i = at % changed.length;
      changed[i] = (changed[i] as number) ^ by;
      let found: RaftBatch;
      try {
        found = read(changed);
      } catch (error) {
        match((error as Error).name, /^(Decode|Format)Error$/);
        return;
      }
      // A varint may have been made longer than it need be; what it says must survive.
      deepStrictEqual(read(encode(found)), found);
    },
  );
  fc.assert(property, { numRuns: 3_000 });
  t.pass();
});

test('another format, an unknown field, a field twice and one out of order are refused', (t) => {
  const good = [...encode(one(MessageKind.timeoutNow))];
  t.deepEqual(
    good,
    [0x08, 1, 0x10, 1, 0x18, 2, 0x22, 10, 0x08, 7, 0x10, 12, 0x18, 11, 0x20, 12, 0x28, 13],
  );
  const refused = (...raw: number[]) =>
    t.throws(() => read(Uint8Array.from(raw)), { instanceOf: DecodeError });
  const other = t.throws(() => read(Uint8Array.from([0x08, 2, ...good.slice(2)])), {
    instanceOf: FormatError,
  });
  t.deepEqual(other?.format, { what: 'batch of Raft messages', found: 2, read: 1 });
  refused();
  refused(...good.slice(2));
  refused(0x08, 1, 0x18, 2);
  refused(0x08, 1, 0x10, 1);
  refused(0x08, 1, 0x18, 2, 0x10, 1);
  refused(...good, 0x10, 1);
  refused(...good, 0x28, 1);
  const inside = (...raw: number[]) => refused(0x08, 1, 0x10, 1, 0x18, 2, 0x22, raw.length, ...raw);
  const least = [0x10, 8, 0x18, 11, 0x20, 12];
  t.notThrows(() => read(Uint8Array.from([...good.slice(0, 6), 0x22, 6, ...least])));
  inside(...least, 0x10, 8);
  inside(...least, 0x28, 1, 0x28, 1);
  inside(...least, 0x38, 1, 0x30, 1);
  inside(...least, 0x88, 0x01, 1);
  inside(...least, 0x50, 2);
  inside(0x10, 0, 0x18, 11, 0x20, 12);
  inside(0x10, 15, 0x18, 11, 0x20, 12);
  inside(0x10, 8, 0x20, 12);
  inside(0x10, 8, 0x18, 11);
  inside(0x08, 0x81, 0x02, ...least);
  const state = [0x7a, 9, 0x08, 1, 0x10, 1, 0x1a, 3, 0x0a, 1, 1];
  const carries = [0x10, 10, 0x18, 11, 0x20, 12, ...state];
  t.notThrows(() => read(Uint8Array.from([...good.slice(0, 6), 0x22, 17, ...carries])));
  inside(...carries, ...state);
  inside(...carries.slice(0, 6), 0x7a, 8, 0x08, 1, 0x10, 1, 0x1a, 2, 0x0a, 0);
  inside(...carries.slice(0, 6), 0x7a, 4, 0x08, 1, 0x10, 1);
});

test('a message whose content is not of its kind is refused', (t) => {
  const refused = (value: RaftBatch) =>
    throws(() => read(encode(value)), DecodeError, JSON.stringify(value));
  const entry = new Entry(2, 6, EntryKind.normal, new Uint8Array(1));
  const next = new Entry(2, 8, EntryKind.normal, new Uint8Array(1));
  const given = new Entry(0, 0, EntryKind.normal, new Uint8Array(1));
  const state: Snapshot = {
    index: 1,
    term: 1,
    configuration: { voters: [1], outgoing: [], learners: [], learnersNext: [], autoLeave: false },
    payload: new Uint8Array(0),
  };
  refused(one(MessageKind.append, { index: 6, entries: [entry] }));
  refused(one(MessageKind.append, { index: 5, entries: [entry, next] }));
  refused(one(MessageKind.append, { index: 5, entries: [{ ...entry, term: 0 }] }));
  refused(one(MessageKind.append, { index: 5, entries: [{ ...entry, kind: 2 as EntryKind }] }));
  refused(one(MessageKind.append, { index: 0, entries: [given] }));
  refused(one(MessageKind.propose, { entries: [entry] }));
  refused(one(MessageKind.heartbeat, { index: 5, entries: [entry] }));
  refused(one(MessageKind.snapshot));
  refused(one(MessageKind.append, { snapshot: state }));
  refused(one(MessageKind.snapshot, { snapshot: { ...state, index: 0 } }));
  refused(one(MessageKind.snapshot, { snapshot: { ...state, term: 0 } }));
  const { configuration: good } = state;
  for (const bad of [
    [2, 1],
    [1, 1],
  ]) {
    const learners = { ...good, learners: bad };
    refused(one(MessageKind.snapshot, { snapshot: { ...state, configuration: learners } }));
  }
  t.notThrows(() => read(encode(one(MessageKind.snapshot, { snapshot: state }))));
});

test('a number that the wire does not hold exactly is a broken promise of the sender', (t) => {
  for (const term of [-1, 2 ** 53, 0.5]) {
    const message = new Message(MessageKind.heartbeat, 1, 2, term);
    const writer = new RaftBatchWriter(1 as NodeId, 2 as NodeId);
    t.throws(() => writer.add(1 as GroupId, message), { instanceOf: InvariantError });
  }
});

test('what is read shares no memory with the batch, and what is kept of a message lies together', (t) => {
  const payloads = [new Uint8Array(100).fill(1), new Uint8Array(3).fill(2)];
  const entries = payloads.map((payload, at) => new Entry(1, 6 + at, EntryKind.normal, payload));
  const source = Buffer.from(encode(one(MessageKind.append, { index: 5, entries })));
  const message = read(source).messages[0]?.message;
  source.fill(0xff);
  t.deepEqual(
    message?.entries.map(({ payload }) => payload),
    payloads,
  );
  const [first, second] = message?.entries ?? [];
  t.is(first?.payload.buffer, second?.payload.buffer);
});

test('payloads of small messages share memory, those of a large one have their own', (t) => {
  const payloadOf = (bytes: number): Uint8Array | undefined => {
    const entries = [new Entry(1, 6, EntryKind.normal, new Uint8Array(bytes).fill(7))];
    const source = encode(one(MessageKind.append, { index: 5, entries }));
    return read(source).messages[0]?.message.entries[0]?.payload;
  };
  const some = Array.from({ length: 300 }, () => payloadOf(100));
  for (const payload of some) t.deepEqual(payload, new Uint8Array(100).fill(7));
  const buffers = new Set(some.map((payload) => payload?.buffer));
  t.true(buffers.size > 1);
  t.true(buffers.size < 10);
  const large = payloadOf(3_000);
  t.is(large?.length, 3_000);
  t.true((large?.buffer.byteLength ?? 0) < 3_100);
});

test('a batch is full at a number of messages, and at a number of bytes', (t) => {
  const writer = new RaftBatchWriter(1 as NodeId, 2 as NodeId);
  const heartbeat = new Message(MessageKind.heartbeat, 1, 2, 3);
  for (let at = 0; at < raftBatchMessagesMax; at += 1) t.true(writer.add(1 as GroupId, heartbeat));
  t.false(writer.add(1 as GroupId, heartbeat));
  const full = writer.finish();
  t.is(read(full).messages.length, raftBatchMessagesMax);
  const beyond = Uint8Array.from([...full, 0x22, 6, 0x10, 8, 0x18, 11, 0x20, 12]);
  t.throws(() => read(beyond), { instanceOf: DecodeError });

  const large = new Message(MessageKind.append, 1, 2, 3);
  large.entries = [new Entry(1, 1, EntryKind.normal, new Uint8Array(raftBatchBytesMax / 2 - 100))];
  t.true(writer.add(1 as GroupId, large));
  t.true(writer.add(1 as GroupId, large));
  t.false(writer.add(1 as GroupId, large));
  t.is(writer.count, 2);
  t.is(read(writer.finish()).messages.length, 2);
  t.is(writer.count, 0);
  t.throws(() => read(new Uint8Array(raftBatchBytesMax + 1)), {
    instanceOf: DecodeError,
    message: /too many bytes/,
  });
});

test('heartbeats of 256 groups are one batch of 24 bytes a group at most', (t) => {
  const messages: GroupMessage[] = Array.from({ length: 256 }, (_, at) => {
    const message = new Message(MessageKind.heartbeat, 1_000 + at, 2_000 + at, 40);
    message.commit = 5_000_000;
    message.context = 100_000;
    return { group: (at + 1) as GroupId, message };
  });
  const size = encode({ from: 1 as NodeId, to: 2 as NodeId, messages }).length;
  t.true(size <= 256 * 24, `${size} bytes`);
});
