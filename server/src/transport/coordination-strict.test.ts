import { deepStrictEqual, ok, throws } from 'node:assert';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { DecodeError } from '@tuplet/proto';
import test from 'ava';
import protobuf from 'protobufjs';
import { FormatError } from '../base/format-error.ts';
import { Prng } from '../base/prng.ts';
import { encode, everyKind, plain, read } from './testing-coordination.ts';

const protoFolder = fileURLToPath(new URL('../../../../proto/', import.meta.url));
const root = new protobuf.Root();
root.resolvePath = (_, path) => join(protoFolder, path);
root.loadSync('tuplet/internal/v1/coordination.proto');
const batchType = root.lookupType('tuplet.internal.v1.CoordinationBatch');

/** A field of a message as it was written: its content, or its parts where that is a message. */
interface Part {
  readonly field: protobuf.Field;
  readonly content: Uint8Array | readonly Part[];
}

function parse(bytes: Uint8Array, type: protobuf.Type): Part[] {
  const reader = protobuf.Reader.create(bytes);
  const parts: Part[] = [];
  while (reader.pos < reader.len) {
    const tag = reader.uint32();
    const field = type.fieldsById[tag >>> 3]?.resolve();
    if (field === undefined) throw new Error(`${type.name} has no field ${tag >>> 3}`);
    const start = reader.pos;
    if ((tag & 7) === 2) {
      const content = reader.bytes();
      const { resolvedType } = field;
      const isMessage = resolvedType instanceof protobuf.Type;
      parts.push({ field, content: isMessage ? parse(content, resolvedType) : content });
    } else {
      reader.skipType(tag & 7);
      parts.push({ field, content: bytes.slice(start, reader.pos) });
    }
  }
  return parts;
}

/** A list of numbers. */
const isPacked = ({ field, content }: Part): boolean =>
  field.repeated && content instanceof Uint8Array && field.type !== 'bytes';
const hasLength = (part: Part): boolean =>
  !(part.content instanceof Uint8Array) ||
  isPacked(part) ||
  part.field.type === 'bytes' ||
  part.field.type === 'string';

function build(parts: readonly Part[]): Uint8Array {
  const chunks: Uint8Array[] = [];
  for (const part of parts) {
    const { field, content } = part;
    const inner = content instanceof Uint8Array ? content : build(content);
    const head = protobuf.Writer.create().uint32((field.id << 3) | (hasLength(part) ? 2 : 0));
    if (hasLength(part)) head.uint32(inner.length);
    chunks.push(head.finish(), inner);
  }
  return Buffer.concat(chunks);
}

/** The same message with each message in it, one after the other, put in every form that `forms` says. */
function* everywhere(
  parts: readonly Part[],
  forms: (parts: readonly Part[]) => Iterable<readonly Part[]>,
): Generator<readonly Part[]> {
  yield* forms(parts);
  for (const [at, { field, content }] of parts.entries()) {
    if (content instanceof Uint8Array) continue;
    for (const inner of everywhere(content, forms)) yield parts.with(at, { field, content: inner });
  }
}

/** Some batches with one item of each kind in them, as parts. */
const samples: readonly { readonly name: string; readonly parts: readonly Part[] }[] =
  everyKind.flatMap(({ name, make }) => {
    const prng = new Prng(1, name);
    return Array.from({ length: 6 }, () => ({
      name,
      parts: parse(encode(make(prng)), batchType),
    }));
  });

/** Every such form of all samples is refused. */
function allRefused(forms: (parts: readonly Part[]) => Iterable<readonly Part[]>): number {
  let count = 0;
  for (const { name, parts } of samples) {
    for (const form of everywhere(parts, forms)) {
      throws(() => read(build(form)), DecodeError, name);
      count += 1;
    }
  }
  return count;
}

test('what is taken apart is put together again', (t) => {
  for (const { parts } of samples) {
    const bytes = build(parts);
    deepStrictEqual(parse(bytes, batchType), parts);
    read(bytes);
  }
  t.true(samples.length > 200);
});

test('a field that is unknown is refused, wherever it stands', (t) => {
  const field = new protobuf.Field('unknown', 100, 'uint64').resolve();
  const count = allRefused(function* (parts) {
    yield [...parts, { field, content: Uint8Array.of(1) }];
  });
  t.true(count > 1_000, `${count}`);
});

test('fields out of order are refused', (t) => {
  const count = allRefused(function* (parts) {
    for (let at = 1; at < parts.length; at += 1) {
      const [first, second] = [parts[at - 1] as Part, parts[at] as Part];
      if (first.field.id !== second.field.id) yield parts.with(at - 1, second).with(at, first);
    }
  });
  t.true(count > 1_000, `${count}`);
});

test('a field that comes twice is refused, but for repeated ones', (t) => {
  const count = allRefused(function* (parts) {
    for (const [at, part] of parts.entries()) {
      const comesAgain = part.field.repeated && !isPacked(part);
      if (!comesAgain) yield parts.toSpliced(at, 0, part);
    }
  });
  t.true(count > 1_000, `${count}`);
});

/** For each field, some content that it may have. */
const contents = new Map<protobuf.Field, Part['content']>();
const collect = (parts: readonly Part[]): void => {
  for (const { field, content } of parts) {
    contents.set(field, content);
    if (!(content instanceof Uint8Array)) collect(content);
  }
};
for (const { parts } of samples) collect(parts);

test('two kinds of a message that has one are refused', (t) => {
  const count = allRefused(function* (parts) {
    for (const [at, { field }] of parts.entries()) {
      const others = field.partOf?.fieldsArray ?? [];
      for (const other of others) {
        if (other === field) continue;
        const content = contents.get(other);
        ok(content !== undefined, `${other.fullName} occurs`);
        const isLater = other.id > field.id;
        yield parts.toSpliced(isLater ? at + 1 : at, 0, { field: other, content });
      }
    }
  });
  t.true(count > 1_000, `${count}`);
});

test('a number beyond its bound is refused, and so is a flag of 2', (t) => {
  // 2^53.
  const content = Uint8Array.of(0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x10);
  const count = allRefused(function* (parts) {
    for (const [at, part] of parts.entries()) {
      if (hasLength(part)) continue;
      yield parts.with(at, { ...part, content });
      if (part.field.type === 'bool') yield parts.with(at, { ...part, content: Uint8Array.of(2) });
    }
  });
  t.true(count > 1_000, `${count}`);
});

test('a field of another wire type is refused', (t) => {
  const count = allRefused(function* (parts) {
    for (const [at, part] of parts.entries()) {
      const isLong = hasLength(part);
      const field = new protobuf.Field('other', part.field.id, isLong ? 'uint64' : 'bytes');
      yield parts.with(at, { field: field.resolve(), content: Uint8Array.of(1) });
    }
  });
  t.true(count > 1_000, `${count}`);
});

test('no field is passed over: without it a batch is refused, or says something else', (t) => {
  let [refused, others] = [0, 0];
  const without = function* (parts: readonly Part[]): Generator<readonly Part[]> {
    for (let at = 0; at < parts.length; at += 1) yield parts.toSpliced(at, 1);
  };
  for (const { name, parts } of samples) {
    const said = plain(read(build(parts)));
    for (const form of everywhere(parts, without)) {
      try {
        const found = plain(read(build(form)));
        ok(JSON.stringify(found) !== JSON.stringify(said), name);
        others += 1;
      } catch (error) {
        deepStrictEqual((error as Error).name, 'DecodeError', name);
        refused += 1;
      }
    }
  }
  t.true(refused > 1_000, `${refused}`);
  t.true(others > 300, `${others}`);
});

test('another format is refused by name, and a batch begins with it', (t) => {
  const whole = encode();
  t.deepEqual([...whole], [0x08, 1, 0x10, 3, 0x18, 4]);
  const other = t.throws(() => read(Uint8Array.of(0x08, 2, 0x10, 3)), { instanceOf: FormatError });
  t.deepEqual(other?.format, { what: 'batch of routers and leaders', found: 2, read: 1 });
  t.throws(() => read(whole.subarray(2)), { instanceOf: DecodeError });
  t.throws(() => read(new Uint8Array(0)), { instanceOf: DecodeError });
});
