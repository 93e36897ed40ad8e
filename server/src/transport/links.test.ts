import test from 'ava';
import { nodeId, pair, TestNode, TestWire } from '../../test/transport/links.ts';
import { linkRefusedMs } from '../base/limits.ts';
import { Lane, type LaneRule, laneRules } from './lane.ts';
import { Dialled } from './peer-client.ts';

const one = nodeId(1);
const two = nodeId(2);

function numbered(number: number, size = 8): Uint8Array {
  const bytes = new Uint8Array(size);
  new DataView(bytes.buffer).setUint32(0, number);
  return bytes;
}

function numberOf(bytes: Uint8Array): number {
  return new DataView(bytes.buffer, bytes.byteOffset).getUint32(0);
}

/** The numbers of what came on a lane. */
function came(node: TestNode, lane: Lane): number[] {
  return node.frames.filter((frame) => frame.lane === lane).map(({ bytes }) => numberOf(bytes));
}

async function closeAll(...nodes: readonly TestNode[]): Promise<void> {
  await Promise.all(nodes.map(({ links }) => links.close()));
}

test('frames of a lane arrive once and in order, both ways', async (t) => {
  const [a, b] = await pair();
  for (let turn = 0; turn < 50; turn += 1) {
    for (let at = 0; at < 20; at += 1) {
      t.true(a.links.send(two, Lane.raft, numbered(turn * 20 + at)));
      t.true(b.links.send(one, Lane.coordination, numbered(turn * 20 + at)));
    }
    a.links.flush();
    b.links.flush();
  }
  await Promise.all([
    b.until(() => b.frames.length === 1_000),
    a.until(() => a.frames.length === 1_000),
  ]);
  const all = Array.from({ length: 1_000 }, (_, at) => at);
  t.deepEqual(came(b, Lane.raft), all);
  t.deepEqual(came(a, Lane.coordination), all);
  t.true(b.frames.every(({ peer }) => peer === one));
  await closeAll(a, b);
});

test('nothing leaves before the end of the turn', async (t) => {
  const [a, b] = await pair();
  a.links.send(two, Lane.raft, numbered(1));
  a.links.send(two, Lane.coordination, numbered(2));
  const { ticks } = a;
  await a.until(() => a.ticks >= ticks + 3);
  t.is(b.frames.length, 0);
  t.is(a.links.states[0]?.bytes, 16);
  a.links.flush();
  await b.until(() => b.frames.length === 2);
  await closeAll(a, b);
});

test('a long queue of one lane does not hold up the others', async (t) => {
  const [a, b] = await pair();
  for (let at = 0; at < 200; at += 1) a.links.send(two, Lane.raft, numbered(at, 100_000));
  a.links.send(two, Lane.heartbeat, numbered(1_000));
  a.links.send(two, Lane.coordination, numbered(1_001));
  a.links.flush();
  await b.until(() => came(b, Lane.heartbeat).length + came(b, Lane.coordination).length === 2);
  t.true(came(b, Lane.raft).length < 100, `${came(b, Lane.raft).length} came before`);
  await b.until(() => came(b, Lane.raft).length === 200);
  await closeAll(a, b);
});

test('a slow receiver costs a bounded queue, which drops the newest of Raft and the oldest heartbeats', async (t) => {
  const raft: LaneRule = { framesMax: 1_000, bytesMax: 4_000_000, overflow: 'drop-newest' };
  const a = await TestNode.open({ node: 1, rules: { [Lane.raft]: raft } });
  const b = await TestNode.open({ node: 2 });
  const wire = await TestWire.before(b);
  a.know([b, wire.address]);
  b.know(a);
  await Promise.all([a.heard('connected 2'), b.heard('connected 1')]);
  wire.pause();
  let mostBytes = 0;
  const sent = 300;
  for (let at = 0; at < sent; at += 1) {
    t.true(a.links.send(two, Lane.raft, numbered(at, 100_000)));
    t.true(a.links.send(two, Lane.heartbeat, numbered(at, 1_000)));
    a.links.flush();
    mostBytes = Math.max(mostBytes, a.links.states[0]?.bytes ?? 0);
    if (at % 10 === 0) await new Promise<void>((resolve) => setImmediate(resolve));
  }
  t.true(mostBytes > 3_000_000, `${mostBytes} bytes`);
  t.true(mostBytes <= 4_000_000 + 20_000, `${mostBytes} bytes`);
  t.true((a.links.states[0]?.dropped ?? 0) > 0);
  wire.resume();
  a.links.send(two, Lane.heartbeat, numbered(sent));
  a.links.flush();
  await b.until(() => came(b, Lane.heartbeat).at(-1) === sent && a.links.states[0]?.bytes === 0);
  const entries = came(b, Lane.raft);
  t.deepEqual(
    entries,
    Array.from(entries, (_, at) => at),
    'what came is what was sent first',
  );
  t.true(entries.length < sent);
  const beats = came(b, Lane.heartbeat);
  t.true(beats.length < sent);
  t.deepEqual(beats.slice(-5), [sent - 4, sent - 3, sent - 2, sent - 1, sent]);
  t.is(a.count('broken 2'), 0);
  wire.close();
  await closeAll(a, b);
});

test('a link breaks where more coordination waits than may, and both sides hear of it', async (t) => {
  const coordination: LaneRule = { framesMax: 100, bytesMax: 1_000_000, overflow: 'break' };
  const [a, b] = await pair({ rules: { [Lane.coordination]: coordination } });
  let queued = 0;
  while (a.links.send(two, Lane.coordination, numbered(queued))) queued += 1;
  t.is(queued, 100);
  t.false(a.links.isConnected(two), 'it is broken at once');
  t.is(a.count('broken 2'), 0, 'but nobody is told while sending');
  await Promise.all([a.heard('broken 2'), b.heard('broken 1')]);
  await Promise.all([a.heard('connected 2', 2), b.heard('connected 1', 2)]);
  t.is(b.frames.length, 0, 'nothing of it comes over the next link');
  await closeAll(a, b);
});

// Serial: what other tests do meanwhile would be measured, too.
test.serial('a peer whose sockets close is told as broken at once', async (t) => {
  const a = await TestNode.open({ node: 1 });
  const b = await TestNode.open({ node: 2 });
  const wire = await TestWire.before(b);
  a.know([b, wire.address]);
  b.know(a);
  const tookMs: number[] = [];
  for (let round = 1; round <= 5; round += 1) {
    await Promise.all([a.heard('connected 2', round), b.heard('connected 1', round)]);
    const cutAt = performance.now();
    wire.cut();
    await Promise.all([a.heard('broken 2', round), b.heard('broken 1', round)]);
    tookMs.push(performance.now() - cutAt);
  }
  tookMs.sort((x, y) => x - y);
  t.log(`${tookMs.map((ms) => ms.toFixed(1)).join(', ')} ms`);
  t.true((tookMs[2] ?? 1_000) < 50, `${tookMs} ms`);
  wire.close();
  await closeAll(a, b);
});

test('a link is broken where one of its two connections ends', async (t) => {
  const a = await TestNode.open({ node: 1 });
  const b = await TestNode.open({ node: 2 });
  const nowhere = await TestWire.before(undefined);
  // Its own dial leads nowhere: the test speaks in its place.
  a.know([b, nowhere.address]);
  b.know(a);
  const dialled = new Dialled(
    {
      address: b.address,
      credentials: { kind: 'insecure' },
      hello: { cluster: 'c1', from: one, to: two, life: 1 },
      rules: laneRules,
    },
    { up: () => {}, down: () => {} },
  );
  await b.heard('connected 1');
  const endedAt = performance.now();
  dialled.close();
  await b.heard('broken 1');
  t.true(performance.now() - endedAt < 900, 'before silence would have ended it');
  nowhere.close();
  await closeAll(a, b);
});

test('a peer that starts anew is told as broken, then connected', async (t) => {
  const [a, b] = await pair();
  const { port } = b.links;
  await b.links.close();
  await a.heard('broken 2');
  const again = await TestNode.open({ node: 2, life: 2, port });
  again.know(a);
  await a.heard('connected 2', 2);
  t.deepEqual(a.events, ['connected 2', 'broken 2', 'connected 2']);
  await closeAll(a, again);
});

test('another life of a peer is linked once the earlier one is silent, which has not said that it is over', async (t) => {
  const a = await TestNode.open({ node: 1 });
  const earlier = await TestNode.open({ node: 2 });
  const [wireToA, wireToEarlier] = [await TestWire.before(a), await TestWire.before(earlier)];
  a.know([earlier, wireToEarlier.address]);
  earlier.know([a, wireToA.address]);
  await a.heard('connected 2');
  wireToA.pause();
  wireToEarlier.pause();
  const later = await TestNode.open({ node: 2, life: 2 });
  const beganAt = performance.now();
  a.know(later);
  t.true(a.links.isConnected(two), 'an address alone changes nothing');
  later.know(a);
  await Promise.all([a.heard('connected 2', 2), later.heard('connected 1')]);
  const links = a.events.filter((event) => !event.startsWith('refusing'));
  t.deepEqual(links, ['connected 2', 'broken 2', 'connected 2']);
  t.true(a.count('refusing 2 TWICE') > 0, 'there may be two of them');
  t.true(performance.now() - beganAt < linkRefusedMs, 'it is dialled, and need not try again');
  wireToA.close();
  wireToEarlier.close();
  await closeAll(a, earlier, later);
});

test('the own connection to an earlier life is no half of a link', async (t) => {
  const a = await TestNode.open({ node: 1 });
  const earlier = await TestNode.open({ node: 2 });
  const nowhere = await TestWire.before(undefined);
  const wire = await TestWire.before(earlier);
  earlier.know([a, nowhere.address]);
  a.know([earlier, wire.address]);
  await a.until(() => a.ticks >= 3);
  t.is(wire.connections, 1);
  wire.target = await TestNode.open({ node: 2, life: 2 });
  const later = wire.target;
  later.know(a);
  await Promise.all([a.heard('connected 2'), later.heard('connected 1')]);
  a.links.send(two, Lane.raft, numbered(1));
  a.links.flush();
  await later.heard('frame 1');
  t.deepEqual(earlier.events, []);
  wire.close();
  nowhere.close();
  await closeAll(a, earlier, later);
});

test('what an earlier life has dialled is no half of a link', async (t) => {
  const a = await TestNode.open({ node: 1 });
  const earlier = await TestNode.open({ node: 2 });
  const nowhere = await TestWire.before(undefined);
  const wire = await TestWire.before(undefined);
  a.know([earlier, wire.address]);
  earlier.know(a);
  await a.until(() => a.ticks >= 3);
  const later = await TestNode.open({ node: 2, life: 2 });
  wire.target = later;
  later.know([a, nowhere.address]);
  const { accepted } = wire;
  await a.until(() => wire.accepted >= accepted + 3);
  t.is(a.count('connected 2'), 0);
  wire.close();
  nowhere.close();
  await closeAll(a, earlier, later);
});

for (const direction of ['both directions', 'one direction'] as const) {
  test(`a peer that is silent in ${direction} is told as broken to both`, async (t) => {
    const a = await TestNode.open({ node: 1 });
    const b = await TestNode.open({ node: 2 });
    const [toA, toB] = [await TestWire.before(a), await TestWire.before(b)];
    a.know([b, toB.address]);
    b.know([a, toA.address]);
    await Promise.all([a.heard('connected 2'), b.heard('connected 1')]);
    const beganAt = performance.now();
    toB.pause();
    if (direction === 'both directions') toA.pause();
    await Promise.all([a.heard('broken 2'), b.heard('broken 1')]);
    const tookMs = performance.now() - beganAt;
    t.log(`${Math.round(tookMs)} ms`);
    t.true(tookMs > 800, `${tookMs} ms`);
    t.true(tookMs < 2_500, `${tookMs} ms`);
    toA.resume();
    toB.resume();
    await Promise.all([a.heard('connected 2', 2), b.heard('connected 1', 2)]);
    toA.close();
    toB.close();
    await closeAll(a, b);
  });
}

test('a link over which nobody says anything stands', async (t) => {
  const [a, b] = await pair();
  await a.until(() => a.ticks >= 15);
  t.deepEqual(a.events, ['connected 2']);
  t.deepEqual(b.events, ['connected 1']);
  await closeAll(a, b);
});

test('a message that takes longer than silence may last breaks nothing', async (t) => {
  const a = await TestNode.open({ node: 1 });
  const b = await TestNode.open({ node: 2 });
  const wire = await TestWire.before(b);
  a.know([b, wire.address]);
  b.know(a);
  await Promise.all([a.heard('connected 2'), b.heard('connected 1')]);
  wire.bytesPerMs = 1_000;
  const { ticks } = b;
  // More of it follows each turn, as from a busy leader.
  a.links.send(two, Lane.raft, numbered(1, 2_000_000));
  while (b.frames.length === 0) {
    a.links.send(two, Lane.raft, numbered(2));
    a.links.flush();
    const tick = a.ticks;
    await a.until(() => a.ticks > tick);
  }
  t.true(b.ticks - ticks > 12, `${b.ticks - ticks} ticks`);
  t.is(b.count('broken 1'), 0);
  wire.close();
  await closeAll(a, b);
});

test('a frame that is not understood breaks its link, and what comes after it is not given out', async (t) => {
  const a = await TestNode.open({ node: 1 });
  const b = await TestNode.open({
    node: 2,
    onFrame: (_lane, bytes) => {
      if (numberOf(bytes) === 2) b.links.break(one, 'what it says means nothing');
    },
  });
  a.know(b);
  b.know(a);
  await Promise.all([a.heard('connected 2'), b.heard('connected 1')]);
  for (const number of [1, 2, 3]) a.links.send(two, Lane.coordination, numbered(number));
  a.links.flush();
  await Promise.all([a.heard('connected 2', 2), b.heard('connected 1', 2)]);
  t.deepEqual(came(b, Lane.coordination), [1, 2]);
  t.deepEqual(b.events.slice(0, 4), ['connected 1', 'frame 1', 'frame 1', 'broken 1']);
  await closeAll(a, b);
});

test('no frame comes before its link, whichever side is up first', async (t) => {
  const a = await TestNode.open({ node: 1 });
  const b = await TestNode.open({ node: 2 });
  // The answers to the second node's dial come late, so that the first is up before it.
  const wire = await TestWire.before(a);
  b.know([a, wire.address]);
  a.know(b);
  const sent = a.heard('connected 2').then(() => {
    wire.pause();
    a.links.send(two, Lane.raft, numbered(7));
    a.links.flush();
  });
  await sent;
  await new Promise<void>((resolve) => setImmediate(resolve));
  wire.resume();
  await b.until(() => b.frames.length === 1);
  t.deepEqual(b.events, ['connected 1', 'frame 1']);
  wire.close();
  await closeAll(a, b);
});

test('who comes back is dialled at once, whatever the pause', async (t) => {
  const [a, b] = await pair();
  const { port } = b.links;
  await b.links.close();
  await a.heard('broken 2');
  // Until the pauses are at their longest.
  await a.until(() => a.delaysMs.some((ms) => ms > 500 && ms <= 1_000));
  const again = await TestNode.open({ node: 2, life: 2, port });
  const beganAt = performance.now();
  again.know(a);
  await a.heard('connected 2', 2);
  const tookMs = performance.now() - beganAt;
  t.true(tookMs < 300, `${tookMs} ms`);
  t.true(a.delaysMs.every((ms) => ms === 2_000 || ms <= 1_000));
  await closeAll(a, again);
});

test('a frame to nobody is refused', async (t) => {
  const a = await TestNode.open({ node: 1 });
  t.false(a.links.send(two, Lane.raft, numbered(1)));
  t.is(await a.links.sendSnapshot(two, numbered(1), chunksOfNone()), 'lost');
  await closeAll(a);
});

async function* chunksOfNone(): AsyncGenerator<Uint8Array> {
  // Nothing is in it.
}
