import * as contract from '@tuplet/proto/contract';
import { Outcome, TupleState } from '@tuplet/proto/contract';
import test from 'ava';
import { type GatewayBench, start, turns } from '../../test/gateway/start.ts';
import { any, template, tuple } from '../../test/router/bench.ts';

const { methods } = contract.TupleSpaceService;
const space = { name: 'default' };
const ifExists = { seconds: 0, nanos: 0 };
const job = template('job', any);

async function handed({ client }: GatewayBench): Promise<number> {
  return (await client.call(methods.count, { space, states: [TupleState.HANDED] })).count;
}

test('a take without a session is acknowledged once its answer is on the connection [4.23]', async (t) => {
  const bench = await start(t);
  const { client } = bench;
  for (let number = 0; number < 50; number += 1)
    await client.call(methods.write, { space, tuple: tuple('job', number) });
  const takes = Array.from({ length: 50 }, () => {
    return client.call(methods.take, { space, template: job, wait: ifExists });
  });
  const answers = await Promise.all(takes);
  t.true(answers.every(({ outcome }) => outcome === Outcome.FOUND));
  t.is(new Set(answers.map(({ found }) => found?.tupleId)).size, 50);
  await turns(20);
  t.is(await handed(bench), 0);
});

test('a tuple for a take whose caller has gone comes back at once', async (t) => {
  const bench = await start(t);
  const { client, connect } = bench;
  for (const ask of [job, template(any, any)]) {
    const gone = connect();
    const taking = gone.begin(methods.take, { space, template: ask });
    await client.call(methods.count, { space });
    taking.cancel();
    gone.close();
    await turns(50);
    await client.call(methods.write, { space, tuple: tuple('job', 1) });
    const { found } = await client.call(methods.take, { space, template: job, wait: ifExists });
    t.not(found, null);
  }
});

test('a tuple that was handed over when the connection broke comes back [4.21]', async (t) => {
  const bench = await start(t);
  const { node, client, connect } = bench;
  let back = 0;
  for (let round = 0; round < 30; round += 1) {
    const gone = connect();
    const exchange = gone.exchange();
    exchange.send({ callId: 1, request: { kind: 'take', value: { space, template: job } } });
    await client.call(methods.count, { space });
    // The write hands the tuple over; the connection goes at about the same moment.
    const writing = client.call(methods.write, { space, tuple: tuple('job', round) });
    await turns(round % 6);
    exchange.stream.cancel();
    gone.close();
    await writing;
    await turns(30);
    // Either the answer went out before, and is lost with the connection as documented, or the
    // tuple is back.
    await node.advance(40);
    const { found } = await client.call(methods.take, { space, template: job, wait: ifExists });
    if (found !== null) back += 1;
    await turns(10);
    t.is(await handed(bench), 0, `round ${round}`);
  }
  t.true(back > 0, 'some came back');
});

test('a waiting take moves to another session where it keeps a lost tuple from coming back', async (t) => {
  const bench = await start(t);
  const { node, client, connect } = bench;
  // The oldest operation of the node's session waits, and holds its floor.
  const waiting = client.begin(methods.take, { space, template: template('later', any) });
  await client.call(methods.count, { space });
  let lost = 0;
  for (let round = 0; round < 40 && lost === 0; round += 1) {
    const gone = connect();
    const exchange = gone.exchange();
    exchange.send({ callId: 1, request: { kind: 'take', value: { space, template: job } } });
    await client.call(methods.count, { space });
    const writing = client.call(methods.write, { space, tuple: tuple('job', round) });
    await turns(round % 6);
    exchange.stream.cancel();
    await writing;
    await turns(30);
    if ((await handed(bench)) > 0) lost += 1;
    else await client.call(methods.take, { space, template: job, wait: ifExists });
  }
  t.is(lost, 1, 'one was handed over to nobody');
  await node.advance(1_500);
  t.is(await handed(bench), 0);
  const { found } = await client.call(methods.read, { space, template: job, wait: ifExists });
  t.is(found?.deliveries, 1);
  await client.call(methods.write, { space, tuple: tuple('later', 1) });
  t.is((await waiting.answer).outcome, Outcome.FOUND, 'the take that moved still waits');
});

test('the node keeps its session alive for as long as takes wait in it', async (t) => {
  const { node, client } = await start(t);
  const waiting = client.begin(methods.take, { space, template: job });
  await client.call(methods.count, { space });
  await node.advance(60_000);
  await client.call(methods.write, { space, tuple: tuple('job', 1) });
  t.is((await waiting.answer).outcome, Outcome.FOUND);
});

test('a node that stops gives back what was not received', async (t) => {
  const first = await start(t);
  await first.client.call(methods.write, { space, tuple: tuple('job', 1) });
  const waiting = first.client.begin(methods.take, { space, template: template('none', any) });
  await first.client.call(methods.count, { space });
  await first.node.close();
  t.is((await waiting.answer).outcome, Outcome.CANCELLED);
  const second = await start(t, { disk: first.node.disk });
  const { found } = await second.client.call(methods.take, {
    space,
    template: job,
    wait: ifExists,
  });
  t.not(found, null);
});
