import test from 'ava';
import fc from 'fast-check';
import protobuf from 'protobufjs';
import {
  DecodeError,
  durationOfMs,
  EncodeError,
  hash64,
  isUtf8,
  msOfDuration,
  msOfTimestamp,
  Reader,
  timestampOfMs,
  Writer,
} from './index.ts';
import { readUtf8, writeUtf8 } from './utf8.ts';

const safe = fc.oneof(
  fc.maxSafeInteger(),
  fc.constantFrom(
    0,
    1,
    -1,
    127,
    128,
    2 ** 31,
    -(2 ** 31),
    2 ** 32 - 1,
    2 ** 32,
    -(2 ** 32),
    2 ** 53 - 1,
    -(2 ** 53) + 1,
  ),
);

function written(write: (writer: Writer) => void): Uint8Array {
  const writer = new Writer(1);
  write(writer);
  return writer.finish();
}

test('integers go through every form unchanged, and as the protobuf runtime writes them', (t) => {
  const property = fc.property(safe, (value) => {
    const theirs = (write: (writer: protobuf.Writer) => unknown): Uint8Array => {
      const writer = protobuf.Writer.create();
      write(writer);
      return writer.finish();
    };
    const long = protobuf.util.LongBits.from(value).toLong(false);
    const sint = written((writer) => writer.sint64(value));
    const int = written((writer) => writer.int64(value));
    t.deepEqual(sint, Uint8Array.from(theirs((writer) => writer.sint64(long))));
    t.deepEqual(int, Uint8Array.from(theirs((writer) => writer.int64(long))));
    t.deepEqual(
      sint,
      written((writer) => writer.sint64(BigInt(value))),
    );
    const size = Math.abs(value);
    const back = [
      new Reader(sint).sint64() === value,
      new Reader(int).int64() === value,
      new Reader(written((writer) => writer.uint64(size))).uint64() === size,
      new Reader(written((writer) => writer.fixed64(size))).fixed64() === size,
    ];
    return back.every((one) => one);
  });
  fc.assert(property, { numRuns: 5_000 });
});

test('a writer refuses numbers that do not fit', (t) => {
  const refused: readonly ((writer: Writer) => void)[] = [
    (writer) => writer.uint32(-1),
    (writer) => writer.uint32(2 ** 32),
    (writer) => writer.uint32(0.5),
    (writer) => writer.uint64(2 ** 53),
    (writer) => writer.uint64(-1),
    (writer) => writer.fixed64(2 ** 53),
    (writer) => writer.int32(2 ** 31),
    (writer) => writer.int64(2 ** 53),
    (writer) => writer.sint64(Number.NaN),
    (writer) => writer.sint64(2n ** 63n),
  ];
  for (const write of refused) t.throws(() => written(write), { instanceOf: EncodeError });
});

test('a nested message of any size gets a minimal length', (t) => {
  for (const size of [0, 127, 128, 16_383, 16_384, 70_000]) {
    const bytes = written((writer) => {
      const outer = writer.open();
      const inner = writer.open();
      writer.raw(new Uint8Array(size).fill(7));
      writer.close(inner);
      writer.close(outer);
    });
    const reader = new Reader(bytes);
    const outer = reader.lengthDelimited();
    t.is(reader.position, bytes.length);
    const inner = new Reader(outer).lengthDelimited();
    t.deepEqual(inner, new Uint8Array(size).fill(7));
  }
});

test('a reader stops at the end of its message with a DecodeError', (t) => {
  const bytes = Uint8Array.of(0x80, 0x80, 0x01);
  t.throws(() => new Reader(bytes, 0, 2).uint64(), { instanceOf: DecodeError });
  t.throws(() => new Reader(bytes).double(), { instanceOf: DecodeError });
  t.throws(() => new Reader(Uint8Array.of(3, 1, 2)).lengthDelimited(), { instanceOf: DecodeError });
  t.throws(() => new Reader(new Uint8Array(11).fill(0x80)).uint64(), { instanceOf: DecodeError });
  t.throws(() =>
    new Reader(Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2)).lanes(),
  );
});

test('doubles keep their bits', (t) => {
  for (const value of [0, -0, 1.5, -1e308, 5e-324, Number.POSITIVE_INFINITY]) {
    t.is(new Reader(written((writer) => writer.double(value))).double(), value);
  }
});

test('UTF-8 is checked, read and written as the platform does', (t) => {
  const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  const encoder = new TextEncoder();
  const accepts = (bytes: Uint8Array): boolean => {
    try {
      strict.decode(bytes);
      return true;
    } catch {
      return false;
    }
  };
  const edges = fc.array(
    fc.constantFrom(
      0x41,
      0x7f,
      0x80,
      0xbf,
      0xc1,
      0xc2,
      0xdf,
      0xe0,
      0xa0,
      0x9f,
      0xed,
      0xef,
      0xbb,
      0xf0,
      0x90,
      0x8f,
      0xf4,
      0xf5,
      0xff,
    ),
    { maxLength: 5 },
  );
  fc.assert(
    fc.property(edges, (list) => {
      const bytes = Uint8Array.from(list);
      return (
        isUtf8(bytes, 0, bytes.length) === accepts(bytes) &&
        (readUtf8(bytes, 0, bytes.length) !== undefined) === accepts(bytes)
      );
    }),
    { numRuns: 20_000 },
  );
  const units = fc.array(fc.constantFrom(0x41, 0x7ff, 0xd800, 0xdbff, 0xdc00, 0xdfff, 0xffff), {
    maxLength: 60,
  });
  fc.assert(
    fc.property(units, (list) => {
      const text = String.fromCharCode(...list);
      const target = new Uint8Array(text.length * 3);
      const end = writeUtf8(text, target, 0);
      if (!text.isWellFormed()) return end === -1;
      const bytes = target.subarray(0, end);
      return Buffer.compare(bytes, encoder.encode(text)) === 0 && readUtf8(bytes, 0, end) === text;
    }),
    { numRuns: 20_000 },
  );
  t.is(readUtf8(encoder.encode('\ufeffa'), 0, 4), '\ufeffa', 'a byte order mark is content');
});

test('H is MurmurHash3_x86_128: a published case of the murmurhash3js documentation', (t) => {
  const text = new TextEncoder().encode("I will not buy this tobacconist's, it is scratched.");
  // Its 128 bits are printed as 9b5b7ba2 ef3f7866 889adeaf 00f3f98e.
  t.is(hash64(text), 0xef3f_7866_9b5b_7ba2n);
  t.is(hash64(new Uint8Array(0)), 0n);
});

test('milliseconds become durations and timestamps and come back', (t) => {
  t.deepEqual(durationOfMs(1_500.25), { seconds: 1, nanos: 500_250_000 });
  t.deepEqual(durationOfMs(-1_500), { seconds: -1, nanos: -500_000_000 });
  t.deepEqual(durationOfMs(0.9999999999e3), { seconds: 1, nanos: 0 });
  t.deepEqual(timestampOfMs(-1), { seconds: -1, nanos: 999_000_000 });
  fc.assert(
    fc.property(
      fc.integer({ min: -1e12, max: 1e12 }),
      (ms) => msOfDuration(durationOfMs(ms)) === ms && msOfTimestamp(timestampOfMs(ms)) === ms,
    ),
  );
});
