import { deepStrictEqual } from 'node:assert';
import { fileURLToPath } from 'node:url';
import { loadSync, type MessageTypeDefinition } from '@grpc/proto-loader';
import { DecodeError } from '@tuplet/proto';
import test from 'ava';
import fc from 'fast-check';
import { FormatError } from '../base/format-error.ts';
import type { NodeId } from '../base/ids.ts';
import { linkPieceBytesMax } from '../base/limits.ts';
import { lanes, snapshotLane } from './lane.ts';
import {
  type Hello,
  helloOf,
  readFrames,
  readLinkHello,
  readLinkWelcome,
  readSnapshotPart,
  type SnapshotPart,
  type Welcome,
  writeFrames,
  writeLinkHello,
  writeLinkWelcome,
  writeSnapshotPart,
} from './peer-codec.ts';

/** The loader's codecs are those of the protobufjs runtime. */
const includeDirs = [fileURLToPath(new URL('../../../../proto/', import.meta.url))];
const loaded = loadSync('tuplet/internal/v1/peer.proto', { includeDirs, longs: Number });

function runtime(name: string): MessageTypeDefinition<object, object> {
  return loaded[`tuplet.internal.v1.${name}`] as MessageTypeDefinition<object, object>;
}

const positive = fc.oneof(
  fc.integer({ min: 1, max: 300 }),
  fc.integer({ min: 1, max: 2 ** 53 - 1 }),
);
const node = positive as unknown as fc.Arbitrary<NodeId>;
const plain = { noNullPrototype: true } as const;
const cluster = fc.string({ maxLength: 40, unit: 'grapheme-ascii' });
const bytes = fc.uint8Array({ minLength: 1, maxLength: 300 });

function helloWith(lane: fc.Arbitrary<Hello['lane']>): fc.Arbitrary<Hello> {
  return fc.record({ cluster, from: node, to: node, life: positive, lane }, plain);
}

const laneHello = helloWith(fc.constantFrom(...lanes));
const anyWelcome: fc.Arbitrary<Welcome> = fc.record({ cluster, node, life: positive }, plain);

/** Checks that the runtime reads the bytes, and would have written the same. */
function isOfContract(name: string, ours: Buffer): object {
  const type = runtime(name);
  const message = type.deserialize(ours);
  deepStrictEqual(type.serialize(message), ours);
  return message;
}

test('greetings come back as they were, and are those of the contract', (t) => {
  fc.assert(
    fc.property(laneHello, anyWelcome, (hello, answer) => {
      const first = writeLinkHello(hello);
      deepStrictEqual(readLinkHello(first), hello);
      isOfContract('LinkRequest', first);
      const second = writeLinkWelcome(answer);
      deepStrictEqual(readLinkWelcome(second), answer);
      isOfContract('LinkResponse', second);
    }),
  );
  const hello = { cluster: 'c1', from: 1, to: 2, life: 3, lane: 2 } as Hello;
  t.like(isOfContract('LinkRequest', writeLinkHello(hello)), {
    hello: { formatVersion: 1, clusterId: 'c1', fromNode: 1, toNode: 2, life: 3, lane: 2 },
  });
  const answer = { cluster: 'c1', node: 2, life: 3 } as Welcome;
  t.like(isOfContract('LinkResponse', writeLinkWelcome(answer)), {
    welcome: { formatVersion: 1, clusterId: 'c1', node: 2, life: 3 },
  });
});

test('frames come back as they were, and are those of the contract', (t) => {
  fc.assert(
    fc.property(fc.array(bytes, { maxLength: 5 }), (frames) => {
      const message = writeFrames(frames);
      deepStrictEqual(
        readFrames(message).map((frame) => Uint8Array.from(frame)),
        frames,
      );
      isOfContract('LinkRequest', message);
    }),
  );
  t.is(writeFrames([]).length, 0);
});

test('parts of a snapshot come back as they were, and are those of the contract', (t) => {
  const part: fc.Arbitrary<SnapshotPart> = fc.oneof(
    fc.record({ hello: helloWith(fc.constant(snapshotLane)), header: bytes }, plain),
    fc.record({ piece: bytes }, plain),
    fc.record({ totalBytes: fc.oneof(fc.constant(0), positive) }, plain),
  );
  fc.assert(
    fc.property(part, (each) => {
      const ours = writeSnapshotPart(each);
      const { header, piece, ...rest } = readSnapshotPart(ours);
      deepStrictEqual(
        {
          ...rest,
          ...(header === undefined ? {} : { header: Uint8Array.from(header) }),
          ...(piece === undefined ? {} : { piece: Uint8Array.from(piece) }),
        },
        each,
      );
      isOfContract('SendSnapshotRequest', ours);
    }),
  );
  const tooLarge = writeSnapshotPart({ piece: new Uint8Array(linkPieceBytesMax + 1) });
  t.throws(() => readSnapshotPart(tooLarge), { instanceOf: DecodeError });
});

test('bytes that are not ours are refused with errors of the codec alone', (t) => {
  const reads = [readLinkHello, readLinkWelcome, readFrames, readSnapshotPart] as const;
  const codec = (read: () => unknown): void => {
    try {
      read();
    } catch (error) {
      if (!(error instanceof DecodeError || error instanceof FormatError)) throw error;
    }
  };
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), (some) => {
      for (const read of reads) codec(() => read(some));
    }),
  );
  const hello = writeLinkHello({ cluster: 'c1', from: 1, to: 2, life: 3, lane: 1 } as Hello);
  for (let size = 0; size < hello.length; size += 1) {
    t.throws(() => readLinkHello(hello.subarray(0, size)), { instanceOf: DecodeError });
  }
  t.throws(() => readLinkHello(Buffer.concat([hello, Buffer.of(0x12, 0)])), {
    instanceOf: DecodeError,
  });
  t.throws(() => readFrames(hello), { instanceOf: DecodeError });
  t.throws(() => readFrames(Buffer.of(0x12, 0)), { instanceOf: DecodeError });
});

test('another format is told from damage, whatever follows', (t) => {
  const hello = writeLinkHello({ cluster: 'c1', from: 1, to: 2, life: 3, lane: 1 } as Hello);
  const welcome = writeLinkWelcome({ cluster: 'c1', node: 2, life: 3 } as Welcome);
  for (const [bytesOf, read] of [
    [hello, readLinkHello],
    [welcome, readLinkWelcome],
  ] as const) {
    const other = Buffer.from(bytesOf);
    other[3] = 7;
    other.fill(0xff, 4);
    t.throws(() => read(other), { instanceOf: FormatError, message: /has format 7/ });
  }
});

test('a snapshot begins with its hello', (t) => {
  const hello = { cluster: '', from: 1, to: 2, life: 3 } as Hello;
  t.deepEqual(helloOf({ hello: { ...hello, lane: snapshotLane } }).lane, snapshotLane);
  t.throws(() => helloOf({ hello: { ...hello, lane: 1 } }), { instanceOf: DecodeError });
  t.throws(() => helloOf({ piece: Uint8Array.of(1) }), { instanceOf: DecodeError });
});
