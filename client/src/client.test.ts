import test, { type ExecutionContext } from 'ava';
import { message } from '../test/exchange-codec.ts';
import { type GrpcFake, startGrpcFake } from '../test/grpc-server.ts';
import { type Client, connect, float, t as m, metaOf, Timestamp, TupletError } from './index.ts';

async function start(t: ExecutionContext): Promise<{ fake: GrpcFake; client: Client }> {
  const fake = await startGrpcFake();
  const client = await connect(fake.url);
  t.teardown(async () => {
    await client.close();
    fake.stop();
  });
  return { fake, client };
}

test('a tuple that was written is taken with its values and its meta', async (t) => {
  const { client, fake } = await start(t);
  const jobs = client.space('jobs');
  const bytes = new Uint8Array([1, 2, 3]);
  const at = Timestamp.fromNanoseconds(1_700_000_000_123_456_789n);
  const tuple = [
    'job',
    42,
    2.5,
    float(3),
    2n ** 62n,
    true,
    null,
    bytes,
    at,
    [1, ['x']],
    { k: 'v' },
  ];
  const written = await jobs.write(tuple as never);
  const taken = await jobs.take(['job', m.rest]);
  t.deepEqual(taken, ['job', 42, 2.5, 3, 2n ** 62n, true, null, bytes, at, [1, ['x']], { k: 'v' }]);
  const meta = metaOf(taken);
  t.is(meta?.id, written.id);
  t.is(meta?.deliveries, 0);
  t.is(meta?.state, 'ready');
  t.is(metaOf(['job']), undefined);
  await client.close();
  t.deepEqual(fake.space.received, [written.id]);
  t.is(fake.space.sessions.size, 0, 'closing ends the sessions');
});

test('a blocked take gets the tuple that is written later', async (t) => {
  const { client } = await start(t);
  const jobs = client.space('jobs');
  const taking = jobs.take(['job', m.int]);
  await jobs.write(['job', 7]);
  t.deepEqual(await taking, ['job', 7]);
});

test('what does not exist is undefined, at once or when the wait is over', async (t) => {
  const { client } = await start(t);
  const jobs = client.space('jobs');
  t.is(await jobs.takeIfExists(['job', m.any]), undefined);
  t.is(await jobs.readIfExists(['job', m.any]), undefined);
  t.is(await jobs.take(['job', m.any], { waitMs: 20 }), undefined);
});

test('an aborted take is cancelled and takes nothing', async (t) => {
  const { client, fake } = await start(t);
  const jobs = client.space('jobs');
  const controller = new AbortController();
  const taking = jobs.take(['job', m.any], { signal: controller.signal });
  await jobs.write(['other', 1]);
  controller.abort(new Error('enough'));
  const error = await t.throwsAsync(taking, { instanceOf: TupletError });
  t.like(error, { reason: 'CANCELLED', code: 'CANCELLED', definite: true });
  t.is((error.cause as Error).message, 'enough');
  await jobs.write(['job', 1]);
  t.is(fake.space.tuples.size, 2);
});

test('a signal that aborted before sends nothing', async (t) => {
  const { client, fake } = await start(t);
  await t.throwsAsync(client.space('jobs').write(['a'], { signal: AbortSignal.abort() }), {
    message: 'cancelled by the caller',
  });
  t.is(fake.space.calls.length, 0);
});

test('calls survive broken connections', async (t) => {
  const { client, fake } = await start(t);
  const jobs = client.space('jobs');
  await jobs.write(['a', 0]);
  const taking = jobs.take(['job', m.any]);
  const writes = [1, 2, 3].map((each) => jobs.write(['a', each]));
  setImmediate(() => fake.breakAll());
  await Promise.all(writes);
  await jobs.write(['job', 'done']);
  t.deepEqual(await taking, ['job', 'done']);
  t.is([...fake.space.tuples.values()].filter((each) => each.handedTo === undefined).length, 4);
});

test('one server that was named is enough: the client goes on at one that it was told of', async (t) => {
  const { client, fake } = await start(t);
  const other = await startGrpcFake();
  t.teardown(() => other.stop());
  const nodes = [fake, other].map(({ url }, at) => {
    const address = url.replace('tuplet://', '');
    const node = [[1, at + 1] as const, [2, address] as const];
    return [3, message(node)] as const;
  });
  fake.space.topology = () => message([[1, 'fake'], [2, 1], ...nodes]);
  const jobs = client.space('jobs');
  await jobs.write(['a', 0]);
  t.is(other.space.connections.length, 0, 'it leads nothing');
  fake.stop();
  // Of the sessions of the first the other fake knows nothing: a read needs none.
  t.is(await jobs.readIfExists(['a', m.any]), undefined);
  t.is(other.space.connections.length, 1);
  t.is((await client.admin.describeSpace('jobs')).partitions, 1);
});

test('a space that does not exist is SPACE_NOT_FOUND', async (t) => {
  const { client } = await start(t);
  const error = await t.throwsAsync(client.space('none').write(['a']), {
    instanceOf: TupletError,
  });
  t.like(error, { reason: 'SPACE_NOT_FOUND', code: 'NOT_FOUND', definite: true });
});

test('a space is looked up once, by id afterwards', async (t) => {
  const { client, fake } = await start(t);
  const writes = [1, 2, 3].map((each) => client.space('jobs').write(['a', each]));
  await Promise.all(writes);
  await client.space('jobs').write(['a', 4]);
  t.is(fake.described, 1);
});

for (const [what, tuple] of [
  ['a function', ['a', () => {}]],
  ['undefined', ['a', undefined]],
  ['a lone surrogate', ['a', '\ud800']],
  ['an int beyond 64 bits', ['a', 2n ** 63n]],
  ['an invalid Date', ['a', new Date(Number.NaN)]],
  ['an instance of a class', ['a', new Map()]],
] as const) {
  test(`${what} is refused before it is sent, with its place`, async (t) => {
    const { client, fake } = await start(t);
    const error = await t.throwsAsync(client.space('jobs').write(tuple as never), {
      instanceOf: TupletError,
    });
    t.like(error, { code: 'INVALID_ARGUMENT', definite: true, retryable: false });
    t.regex(error.field ?? '', /^fields\[1\]/);
    t.is(fake.space.calls.length, 0);
  });
}

test('an object that contains itself is refused', async (t) => {
  const { client } = await start(t);
  const loop: unknown[] = [];
  loop.push(loop);
  const error = await t.throwsAsync(client.space('jobs').write(['a', loop] as never));
  t.is((error as TupletError).reason, 'NESTED_TOO_DEEP');
});

test('negative and absurd times are refused', async (t) => {
  const { client } = await start(t);
  const jobs = client.space('jobs');
  for (const waitMs of [-1, Number.NaN, '5s' as never]) {
    const error = await t.throwsAsync(jobs.take(['a'], { waitMs }));
    t.like(error, { code: 'INVALID_ARGUMENT', field: 'waitMs' });
  }
});

test('nothing listens there: CONNECTION_LOST', async (t) => {
  const fake = await startGrpcFake();
  fake.stop();
  const error = await t.throwsAsync(connect(fake.url, { connectTimeoutMs: 200 }));
  t.like(error, { reason: 'CONNECTION_LOST', definite: true });
});

test('a closed client refuses calls', async (t) => {
  const { client } = await start(t);
  await client.space('jobs').write(['a']);
  await client.close();
  const error = await t.throwsAsync(client.space('jobs').write(['a']));
  t.like(error, { reason: 'CLIENT_CLOSED', definite: true });
});
