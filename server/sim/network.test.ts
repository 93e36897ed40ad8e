import test from 'ava';
import type { Link, LinkEvents } from '../src/base/doors.ts';
import { Prng } from '../src/base/prng.ts';
import { type NetworkOptions, SimNetwork } from './network.ts';
import { Scheduler, SimProcess } from './scheduler.ts';
import { Trace } from './trace.ts';

const skew = { driftPpm: 0, wallOriginMs: 0 };
const usual: NetworkOptions = {
  delayUsMin: 50,
  delayUsMax: 500,
  lateOneIn: 5,
  lateUsMax: 20_000,
  windowBytes: 1000,
};

interface Ends {
  readonly scheduler: Scheduler;
  readonly network: SimNetwork;
  readonly server: SimProcess;
  readonly client: SimProcess;
  readonly heardByServer: number[];
  readonly heardByClient: string[];
  readonly link: Link;
  serverLink: Link | undefined;
}

function connected(seed: number, options: NetworkOptions = usual): Ends {
  const scheduler = new Scheduler(seed);
  const network = new SimNetwork(scheduler, new Prng(seed, 'network'), options, new Trace());
  const server = new SimProcess(scheduler, 'server', skew);
  const client = new SimProcess(scheduler, 'client', skew);
  const heardByServer: number[] = [];
  const heardByClient: string[] = [];
  const ends: { serverLink: Link | undefined } = { serverLink: undefined };
  network.netOf(server).listen('node', (link) => {
    ends.serverLink = link;
    return {
      message: (message) => heardByServer.push(message[0] ?? -1),
      drained: () => undefined,
      closed: () => heardByServer.push(-1),
    };
  });
  const link = network.netOf(client).connect('node', eventsInto(heardByClient));
  return Object.assign(ends, {
    scheduler,
    network,
    server,
    client,
    heardByServer,
    heardByClient,
    link,
  });
}

function eventsInto(heard: string[]): LinkEvents {
  return {
    message: (message) => heard.push(`message ${message[0]}`),
    drained: () => heard.push('drained'),
    closed: () => heard.push('closed'),
  };
}

test('a link keeps its order, however late its messages are', async (t) => {
  const ends = connected(1);
  for (let at = 0; at < 100; at++) ends.link.send(Uint8Array.of(at));
  await ends.scheduler.run(10_000_000);
  t.deepEqual(
    ends.heardByServer,
    Array.from({ length: 100 }, (_, at) => at),
  );
});

test('what was sent before a close arrives, and then the end', async (t) => {
  const ends = connected(2);
  ends.link.send(Uint8Array.of(7));
  ends.link.close();
  ends.link.send(Uint8Array.of(8));
  await ends.scheduler.run(10_000_000);
  t.deepEqual(ends.heardByServer, [7, -1]);
});

test('two links of one client can overtake each other', async (t) => {
  let overtaken = 0;
  for (let seed = 0; seed < 40; seed++) {
    const ends = connected(seed);
    const second = ends.network.netOf(ends.client).connect('node', eventsInto([]));
    await ends.scheduler.run(100_000);
    ends.link.send(Uint8Array.of(1));
    second.send(Uint8Array.of(2));
    await ends.scheduler.run(10_000_000);
    if (ends.heardByServer[0] === 2) overtaken++;
  }
  t.true(overtaken > 5);
});

test('a broken link loses messages and both ends hear of it once', async (t) => {
  let lost = 0;
  for (let seed = 0; seed < 20; seed++) {
    const ends = connected(seed);
    await ends.scheduler.run(100_000);
    for (let at = 0; at < 5; at++) ends.link.send(Uint8Array.of(at));
    t.true(ends.network.breakOne(ends.client));
    await ends.scheduler.run(10_000_000);
    const arrived = ends.heardByServer.filter((each) => each >= 0);
    if (arrived.length < 5) lost++;
    t.deepEqual(
      arrived,
      Array.from({ length: arrived.length }, (_, at) => at),
    );
    t.is(ends.heardByServer.filter((each) => each === -1).length, 1);
    t.deepEqual(ends.heardByClient, ['closed']);
    t.false(ends.network.breakOne(ends.client));
  }
  t.true(lost > 5);
});

test('a stalled direction is silent, and then everything comes', async (t) => {
  let silent = 0;
  for (let seed = 0; seed < 10; seed++) {
    const ends = connected(seed, { ...usual, lateOneIn: 0 });
    await ends.scheduler.run(100_000);
    t.true(ends.network.stallOne(ends.client, 1000));
    ends.link.send(Uint8Array.of(9));
    await ends.scheduler.run(200_000);
    if (ends.heardByServer.length === 0) silent++;
    await ends.scheduler.run(2_000_000);
    t.deepEqual(ends.heardByServer, [9]);
  }
  t.true(silent > 0 && silent < 10);
});

test('a killed process is heard of as a closed link, and is refused afterwards', async (t) => {
  const ends = connected(3);
  await ends.scheduler.run(100_000);
  ends.server.kill();
  ends.network.processGone(ends.server);
  const heard: string[] = [];
  ends.network.netOf(ends.client).connect('node', eventsInto(heard));
  await ends.scheduler.run(10_000_000);
  t.deepEqual(ends.heardByClient, ['closed']);
  t.deepEqual(heard, ['closed']);
  t.is(ends.network.counts.refused, 1);
});

test('a sender hears that the receiver is slow, and when it may go on', async (t) => {
  const ends = connected(4);
  await ends.scheduler.run(100_000);
  const { serverLink } = ends;
  t.true(serverLink?.send(new Uint8Array(900)));
  t.false(ends.link.send(new Uint8Array(1200)));
  await ends.scheduler.run(10_000_000);
  t.deepEqual(ends.heardByClient.sort(), ['drained', 'message 0']);
});
