import { status as codes } from '@grpc/grpc-js';
import { encodeTuple } from '@tuplet/proto';
import { NotifyResponse } from '@tuplet/proto/contract';
import test, { type ExecutionContext } from 'ava';
import { failWith, type GrpcFake, startGrpcFake } from '../test/grpc-server.ts';
import { type Client, connect, t as m, TupletError } from './index.ts';

async function start(t: ExecutionContext): Promise<{ fake: GrpcFake; client: Client }> {
  const fake = await startGrpcFake();
  const client = await connect(fake.url);
  t.teardown(async () => {
    await client.close();
    fake.stop();
  });
  return { fake, client };
}

function events(...list: { partition: number; revision: number; n: number; last?: boolean }[]) {
  return list.map(({ partition, revision, n, last = true }, index) => ({
    kind: 1 as const,
    place: { partition, revision, position: index },
    tuple: { tuple: encodeTuple(['n', n]), tupleId: n, partition, revision },
    last,
  }));
}

const cursor = (n: number): Uint8Array => new Uint8Array([n]);

test('§8 a broken stream is resumed from the last cursor and the places seen since [8.7]', async (t) => {
  const { client, fake } = await start(t);
  fake.onNotify = [
    (call) => {
      call.write(NotifyResponse.encode({ cursor: cursor(1) }));
      const first = events({ partition: 1, revision: 5, n: 1 });
      call.write(NotifyResponse.encode({ events: first, cursor: cursor(2) }));
      const later = events(
        { partition: 1, revision: 6, n: 2 },
        { partition: 2, revision: 9, n: 3 },
      );
      call.write(NotifyResponse.encode({ events: later }), () => {
        failWith(call, 'SHUTTING_DOWN', codes.UNAVAILABLE);
      });
    },
    (call) => {
      const more = events({ partition: 1, revision: 7, n: 4 });
      call.write(NotifyResponse.encode({ events: more }));
    },
  ];
  const seen: number[] = [];
  for await (const event of client.space('jobs').notify(['n', m.int])) {
    seen.push(event.tuple[1]);
    if (event.tuple[1] === 4) break;
  }
  t.deepEqual(seen, [1, 2, 3, 4]);
  t.is(fake.notifies.length, 2);
  t.is(fake.notifies[0]?.from?.kind, 'now');
  const resumed = fake.notifies[1];
  t.deepEqual(new Uint8Array(resumed?.from?.value as Uint8Array), cursor(2));
  t.deepEqual(
    resumed?.seen.map(({ partition, revision }) => [partition, revision]),
    [
      [1, 6],
      [2, 9],
    ],
  );
});

test('§8 of a batch that was cut off nothing is handed out, and it comes whole after the resume [8.5]', async (t) => {
  const { client, fake } = await start(t);
  const batch = events(
    { partition: 1, revision: 5, n: 1, last: false },
    { partition: 1, revision: 5, n: 2, last: false },
    { partition: 1, revision: 5, n: 3 },
  );
  fake.onNotify = [
    (call) => {
      const part = { events: batch.slice(0, 2), cursor: new Uint8Array() };
      call.write(NotifyResponse.encode({ cursor: cursor(1) }));
      call.write(NotifyResponse.encode(part), () => {
        failWith(call, 'SHUTTING_DOWN', codes.UNAVAILABLE);
      });
    },
    (call) => {
      call.write(NotifyResponse.encode({ events: batch }));
    },
  ];
  const seen: number[] = [];
  for await (const event of client.space('jobs').notify(['n', m.int])) {
    seen.push(event.tuple[1]);
    if (event.tuple[1] === 3) break;
  }
  t.deepEqual(seen, [1, 2, 3]);
  t.deepEqual(fake.notifies[1]?.seen, []);
});

test('§8 a history that is gone ends the loop with CURSOR_COMPACTED [8.9]', async (t) => {
  const { client, fake } = await start(t);
  fake.onNotify = [(call) => failWith(call, 'CURSOR_COMPACTED', codes.OUT_OF_RANGE)];
  const subscription = client.space('jobs').notify();
  const error = await t.throwsAsync(subscription.next(), { instanceOf: TupletError });
  t.like(error, { reason: 'CURSOR_COMPACTED', code: 'OUT_OF_RANGE', definite: true });
  await t.throwsAsync(subscription.ready, { instanceOf: TupletError });
  t.is(fake.notifies.length, 1);
});

test('an abort ends the loop with CANCELLED, and the call at the server', async (t) => {
  const { client, fake } = await start(t);
  const ended = new Promise<void>((resolve) => {
    fake.onNotify = [
      (call) => {
        call.on('cancelled', () => resolve());
        call.write(NotifyResponse.encode({ cursor: cursor(1) }));
      },
    ];
  });
  const controller = new AbortController();
  const subscription = client.space('jobs').notify(undefined, { signal: controller.signal });
  await subscription.ready;
  const next = subscription.next();
  controller.abort();
  const error = await t.throwsAsync(next, { instanceOf: TupletError });
  t.is(error.reason, 'CANCELLED');
  await ended;
});

test('leaving the loop ends the call at the server', async (t) => {
  const { client, fake } = await start(t);
  const ended = new Promise<void>((resolve) => {
    fake.onNotify = [
      (call) => {
        call.on('cancelled', () => resolve());
        call.write(NotifyResponse.encode({ events: events({ partition: 1, revision: 1, n: 1 }) }));
      },
    ];
  });
  for await (const _event of client.space('jobs').notify()) break;
  await ended;
  t.pass();
});
