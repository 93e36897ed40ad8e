import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import protobuf from 'protobufjs';
import { home, randomOf, runtime } from '../test/runtime.ts';
import type { Codec } from './codec.ts';
import * as contract from './gen/contract.ts';
import { DecodeError, encodeTemplate, encodeTuple, encodeValue, grpcService } from './index.ts';

type AnyCodec = Codec<unknown, never>;

const codecs: readonly AnyCodec[] = Object.values(contract).filter(
  (item): item is Extract<typeof item, { decode: unknown }> => 'decode' in item,
);

/** A message of a type with random content, as the protobufjs runtime holds it. */
function randomMessage(type: protobuf.Type, random: () => number): protobuf.Message {
  const message = type.create();
  for (const field of type.fieldsArray) {
    if (random() < 0.3) continue;
    const count = field.repeated ? Math.floor(random() * 4) : 1;
    const values = Array.from({ length: count }, () => randomContent(field, random));
    if (field.map) Reflect.set(message, field.name, { key: values[0], '': values[0] });
    else Reflect.set(message, field.name, field.repeated ? values : values[0]);
  }
  for (const oneof of type.oneofsArray) {
    const chosen = oneof.fieldsArray[Math.floor(random() * oneof.fieldsArray.length)];
    for (const field of oneof.fieldsArray)
      if (field !== chosen) Reflect.deleteProperty(message, field.name);
  }
  return message;
}

function randomContent(field: protobuf.Field, random: () => number): unknown {
  const type = field.resolvedType;
  if (type instanceof protobuf.Enum) {
    const numbers = Object.values(type.values);
    return numbers[Math.floor(random() * numbers.length)];
  }
  if (type?.fullName === '.tuplet.v1.Tuple') return type.decode(encodeTuple(['a', random() * 9]));
  if (type?.fullName === '.tuplet.v1.Value')
    return type.decode(encodeValue(Math.floor(random() * 9)));
  if (type?.fullName === '.tuplet.v1.Template') {
    return type.decode(encodeTemplate([{ matchers: [{ kind: 'actual', value: random() }] }]));
  }
  if (type !== null) return randomMessage(type, random);
  const size = 2 ** Math.floor(random() * 31);
  if (field.type === 'string') return 'aé😀'.slice(0, Math.floor(random() * 2) * 2);
  if (field.type === 'bytes')
    return Uint8Array.from({ length: random() * 200 }, () => random() * 256);
  if (field.type === 'bool') return random() < 0.5;
  if (field.type === 'uint64') return Math.floor(random() * 2 ** 53);
  if (field.type === 'int64') return Math.floor((random() - 0.5) * 2 ** 53);
  if (field.type === 'int32') return Math.floor((random() - 0.5) * size);
  return Math.floor(random() * size);
}

function plain(type: protobuf.Type, bytes: Uint8Array): unknown {
  return type.toObject(type.decode(bytes), { longs: Number, bytes: Array, defaults: true });
}

function typeOf({ name }: AnyCodec): protobuf.Type {
  return runtime.lookupType(name);
}

test('every message of the services has a codec', (t) => {
  t.true(codecs.length > 60, `${codecs.length} codecs`);
  for (const codec of codecs) t.is(typeOf(codec).fullName, `.${codec.name}`);
});

test('a message goes through our codec and the protobuf runtime and is the same', (t) => {
  const random = randomOf(1);
  for (const codec of codecs) {
    const type = typeOf(codec);
    for (let run = 0; run < 40; run += 1) {
      const bytes = type.encode(randomMessage(type, random)).finish();
      const again = codec.encode(codec.decode(bytes, 'refuse') as never);
      t.deepEqual(plain(type, again), plain(type, bytes), codec.name);
    }
  }
});

test('fields keep their names, and what is left out has its default', (t) => {
  const tuple = encodeTuple(['a', 1]);
  const bytes = contract.WriteRequest.encode({
    space: { name: 'jobs', mapEpoch: 7 },
    operation: { kind: { kind: 'session', value: { sessionId: 2 ** 53 - 1, attempt: 1 } } },
    tuple,
  });
  t.deepEqual(contract.WriteRequest.decode(bytes), {
    space: { name: 'jobs', id: 0, mapEpoch: 7 },
    operation: {
      kind: {
        kind: 'session',
        value: { sessionId: 2 ** 53 - 1, sequence: 0, attempt: 1, floor: 0 },
      },
    },
    tuple,
    lease: null,
  });
  const seen = runtime.lookupType('tuplet.v1.WriteRequest').decode(bytes).toJSON();
  t.deepEqual(Reflect.get(seen, 'space'), { name: 'jobs', mapEpoch: '7' });
  t.deepEqual(contract.WriteRequest.decode(new Uint8Array(0)), {
    space: null,
    operation: null,
    tuple: null,
    lease: null,
  });
});

function refusal(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (error instanceof DecodeError) return error.problem.reason;
    throw error;
  }
  return 'accepted';
}

test('the envelope refuses what a lenient reader would bend', (t) => {
  const bytes = (hex: string): Uint8Array => Uint8Array.from(Buffer.from(hex, 'hex'));
  const { SpaceRef, ReadRequest, ReadResponse } = contract;
  t.is(
    refusal(() => SpaceRef.decode(bytes('0a02c328'))),
    'STRING_NOT_UTF8',
  );
  t.is(
    refusal(() => SpaceRef.decode(bytes('0a03ed a080'.replace(' ', '')))),
    'STRING_NOT_UTF8',
  );
  t.is(
    refusal(() => SpaceRef.decode(bytes('0a05616263'))),
    'MALFORMED_MESSAGE',
    'cut off string',
  );
  t.is(
    refusal(() => SpaceRef.decode(bytes('1880'))),
    'MALFORMED_MESSAGE',
    'cut off varint',
  );
  t.is(
    refusal(() => SpaceRef.decode(bytes('1880808080808080808002'))),
    'MALFORMED_MESSAGE',
    '65 bits',
  );
  t.is(
    refusal(() => SpaceRef.decode(bytes('188080808080808010'))),
    'MALFORMED_MESSAGE',
    '2^53',
  );
  t.is(
    refusal(() => SpaceRef.decode(bytes('18ffffffffffffff0f'))),
    'accepted',
    '2^53-1',
  );
  t.is(
    refusal(() => SpaceRef.decode(bytes('108080808010'))),
    'MALFORMED_MESSAGE',
    '2^32',
  );
  t.is(
    refusal(() => SpaceRef.decode(bytes('00'))),
    'MALFORMED_MESSAGE',
    'field 0',
  );
  t.is(
    refusal(() => SpaceRef.decode(bytes('230a'))),
    'MALFORMED_MESSAGE',
    'group',
  );
  t.is(
    refusal(() => ReadRequest.decode(bytes('12ff01'))),
    'MALFORMED_MESSAGE',
    'nested beyond',
  );
  t.is(
    refusal(() => ReadResponse.decode(bytes('0863'))),
    'ENUM_UNKNOWN',
  );
});

test('a server refuses unknown fields, a client passes over them', (t) => {
  const bytes = Uint8Array.of(0x0a, 1, 97, 0x78, 5, 0x82, 1, 1, 9);
  t.is(
    refusal(() => contract.SpaceRef.decode(bytes, 'refuse')),
    'UNKNOWN_FIELD',
  );
  t.is(contract.SpaceRef.decode(bytes).name, 'a');
  const nested = contract.ReadRequest.encode({ space: { name: 'a' } });
  const widened = Uint8Array.of(0x0a, nested.length, ...nested.subarray(2), 0x78, 5);
  t.is(
    refusal(() => contract.ReadRequest.decode(widened, 'refuse')),
    'UNKNOWN_FIELD',
    'nested too',
  );
});

test('mutated messages throw DecodeError or are read', (t) => {
  const random = randomOf(7);
  let refused = 0;
  for (const codec of codecs) {
    const type = typeOf(codec);
    for (let run = 0; run < 60; run += 1) {
      const bytes = type.encode(randomMessage(type, random)).finish().slice();
      if (bytes.length === 0) continue;
      for (let hit = 0; hit < 3; hit += 1)
        bytes[Math.floor(random() * bytes.length)] = random() * 256;
      const cut = random() < 0.3 ? bytes.subarray(0, Math.floor(random() * bytes.length)) : bytes;
      if (refusal(() => codec.decode(cut)) !== 'accepted') refused += 1;
    }
  }
  t.true(refused > 200, `only ${refused} were refused`);
});

test('a service has the paths and streams that the contract names', (t) => {
  const methods = grpcService(contract.TupleSpaceService);
  t.is(methods.take.path, '/tuplet.v1.TupleSpaceService/Take');
  t.deepEqual([methods.notify.requestStream, methods.notify.responseStream], [false, true]);
  t.deepEqual([methods.exchange.requestStream, methods.exchange.responseStream], [true, true]);
  const bytes = methods.cancel.requestSerialize({ tupleId: 5 });
  t.is(methods.cancel.requestDeserialize(bytes).tupleId, 5);
  const service = runtime.lookupService('tuplet.v1.TupleSpaceService');
  t.is(Object.keys(methods).length, service.methodsArray.length);
});

test('the generated files are what their sources say', (t) => {
  t.notThrows(() =>
    execFileSync('node', ['tools/generate.mjs', '--check'], { cwd: home, stdio: 'pipe' }),
  );
});

test('one version of protobufjs is installed for all', (t) => {
  const lock: unknown = JSON.parse(readFileSync(join(home, '../package-lock.json'), 'utf8'));
  const packages = Object.keys(Reflect.get(Object(lock), 'packages'));
  const found = packages.filter((path) => path === 'protobufjs' || path.endsWith('/protobufjs'));
  t.deepEqual(found, ['node_modules/protobufjs']);
});
