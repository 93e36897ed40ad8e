import type { ServiceError } from '@grpc/grpc-js';
import * as contract from '@tuplet/proto/contract';
import { Outcome } from '@tuplet/proto/contract';
import test from 'ava';
import { failureOf, type Pending } from '../../test/gateway/client.ts';
import { start, turns } from '../../test/gateway/start.ts';
import { any, template, tuple } from '../../test/router/bench.ts';

const { methods } = contract.TupleSpaceService;
const admin = contract.AdminService.methods;
const space = { name: 'jobs' };

async function reasonOf(pending: Pending<unknown>): Promise<string> {
  try {
    await pending.answer;
  } catch (error) {
    return failureOf(error as ServiceError).reasonText;
  }
  return 'none';
}

test('calls that wait in a space end when it is dropped, whatever holds them', async (t) => {
  const { client } = await start(t);
  await client.call(admin.createSpace, { name: 'jobs' });
  const { sessionId } = await client.call(contract.SessionService.methods.openSession, {});
  const identity = (sequence: number): contract.OperationIdInit => ({
    kind: { kind: 'session', value: { sessionId, sequence, attempt: 1, floor: 1 } },
  });
  const pinned = template('job', any);
  const open = template(any, 1);
  const wait = { seconds: 3_600, nanos: 0 };
  const waiting = [
    client.begin(methods.read, { space, template: pinned }),
    client.begin(methods.read, { space, template: open, wait }),
    client.begin(methods.readMany, { space, template: open, max: 10 }),
    client.begin(methods.take, { space, template: pinned, wait }),
    client.begin(methods.take, { space, template: open }),
    client.begin(methods.take, { space, template: pinned, operation: identity(1) }),
    client.begin(methods.take, { space, template: open, operation: identity(2), wait }),
    client.begin(methods.takeMany, { space, template: pinned, max: 10, operation: identity(3) }),
  ];
  const elsewhere = client.begin(methods.take, { space: { name: 'default' }, template: pinned });
  await client.call(methods.count, { space });
  await turns(20);
  // The node's time stands still: nothing but the drop can end them.
  await client.call(admin.dropSpace, { name: 'jobs' });
  for (const pending of waiting) t.is(await reasonOf(pending), 'SPACE_NOT_FOUND');

  await client.call(admin.createSpace, { name: 'jobs' });
  await client.call(methods.write, { space, tuple: tuple('job', 1) });
  const read = await client.call(methods.read, { space, template: pinned });
  t.is(read.outcome, Outcome.FOUND, 'no waiter of the old space takes what is in the new one');
  await client.call(methods.write, { space: { name: 'default' }, tuple: tuple('job', 1) });
  t.is((await elsewhere.answer).outcome, Outcome.FOUND);
});

test('writes to a space that was dropped are refused, by its name and by its id', async (t) => {
  const { client } = await start(t);
  const { space: made } = await client.call(admin.createSpace, { name: 'jobs' });
  await client.call(methods.write, { space, tuple: tuple('job', 1) });
  const { mapEpoch } = await client.call(admin.dropSpace, { name: 'jobs' });
  const bytes = tuple('job', 2);
  t.is((await client.failure(methods.write, { space, tuple: bytes })).reason, 'SPACE_NOT_FOUND');
  const byId = (epoch: number): contract.WriteRequestInit => {
    return { space: { id: made?.id ?? 0, mapEpoch: epoch }, tuple: bytes };
  };
  t.is((await client.failure(methods.write, byId(mapEpoch - 1))).reason, 'STALE_MAP');
  t.is((await client.failure(methods.write, byId(mapEpoch))).reason, 'SPACE_NOT_FOUND');
});
