import { Channel, ChannelCredentials, type StatusObject, status } from '@grpc/grpc-js';
import test, { type ExecutionContext } from 'ava';
import { nodeId, pair, TestNode, TestWire } from '../../test/transport/links.ts';
import { linkDialMs, linkRefusedMs } from '../base/limits.ts';
import { Lane } from './lane.ts';
import { OutgoingCall } from './outgoing-call.ts';
import { writeFrames, writeLinkHello } from './peer-codec.ts';
import { linkPath, refusalTrailer } from './peer-service.ts';

const two = nodeId(2);

async function closeAll(...nodes: readonly TestNode[]): Promise<void> {
  await Promise.all(nodes.map(({ links }) => links.close()));
}

/** What becomes of a stream that begins with these bytes. */
async function endOf(address: string, first: Buffer): Promise<StatusObject> {
  const channel = new Channel(address, ChannelCredentials.createInsecure(), {});
  const ended = await new Promise<StatusObject>((resolve) => {
    const call = new OutgoingCall(channel, linkPath, {
      message: () => {},
      taken: () => {},
      ended: resolve,
    });
    call.send(first);
  });
  channel.close();
  return ended;
}

/** Some ticks later each node has been refused once, is not connected, and will dial in a long while. */
async function staysRefused(t: ExecutionContext, node: TestNode): Promise<void> {
  const { ticks } = node;
  await node.until(() => node.ticks >= ticks + 5);
  t.is(node.refusals.length, 1);
  t.false(node.links.isConnected(two));
  const dials = node.delaysMs.filter((ms) => ms !== 100 && ms !== 2_000);
  t.true(dials.length > 0);
  t.true(
    dials.every((ms) => ms >= linkRefusedMs),
    `${dials}`,
  );
}

test('nodes of different clusters refuse each other, and do not try again soon', async (t) => {
  const a = await TestNode.open({ node: 1, cluster: 'c1' });
  const b = await TestNode.open({ node: 2, cluster: 'c2' });
  a.know(b);
  b.know(a);
  await Promise.all([a.heard('refused 2 CLUSTER'), b.heard('refused 1 CLUSTER')]);
  await Promise.all([a.heard('refusing 2 CLUSTER'), b.heard('refusing 1 CLUSTER')]);
  await staysRefused(t, a);
  t.regex(a.links.states[0]?.failure ?? '', /cluster c1 and cluster c2 are not the same/);
  await closeAll(a, b);
});

test('a refusal is told once, and its connection is closed', async (t) => {
  const a = await TestNode.open({ node: 1 });
  const stranger = await TestNode.open({ node: 2, cluster: 'c2' });
  const wires = [await TestWire.before(stranger), await TestWire.before(stranger)];
  for (const [at, wire] of wires.entries()) {
    const beganAt = performance.now();
    a.know([stranger, wire.address]);
    await stranger.until(() => stranger.count('refusing 1 CLUSTER') > at * 3);
    const { ticks } = a;
    await a.until(() => a.ticks > ticks && wire.connections === 0);
    t.true(performance.now() - beganAt < linkDialMs, 'before the other side would close it');
  }
  t.deepEqual(a.events, ['refused 2 CLUSTER']);
  for (const wire of wires) wire.close();
  await closeAll(a, stranger);
});

test('a node without a cluster speaks to any, and may join it', async (t) => {
  const [a, b] = await pair({ cluster: 'c1' }, { cluster: '' });
  b.links.joinCluster('c1');
  const [c, d] = await pair({ cluster: '' }, { cluster: '' });
  t.deepEqual(a.events, ['connected 2']);
  t.deepEqual(d.events, ['connected 1']);
  await closeAll(a, b, c, d);
});

test('a node that is not the one meant is refused', async (t) => {
  const a = await TestNode.open({ node: 1 });
  const three = await TestNode.open({ node: 3 });
  const b = await TestNode.open({ node: 2 });
  three.know(a);
  a.know([b, three.address]);
  await a.heard('refused 2 WRONG_NODE');
  await staysRefused(t, a);
  t.is(a.links.states[0]?.failure, 'this is node 3, not node 2');
  await closeAll(a, b, three);
});

test('a node with the own number is refused', async (t) => {
  const a = await TestNode.open({ node: 1 });
  const twin = await TestNode.open({ node: 1, life: 2 });
  const b = await TestNode.open({ node: 2 });
  a.know(b);
  // It takes node 1's place in a map that says that node 1 is somebody else.
  twin.know([b, a.address]);
  await twin.heard('refused 2 WRONG_NODE');
  const hello = {
    cluster: 'c1',
    from: nodeId(1),
    to: nodeId(1),
    life: 2,
    lane: Lane.raft,
  } as const;
  const { code, details, metadata } = await endOf(a.address, writeLinkHello(hello));
  t.is(code, status.FAILED_PRECONDITION);
  t.deepEqual(metadata.get(refusalTrailer), ['OWN_NODE']);
  t.is(details, 'the caller says that it is node 1, as this one');
  await closeAll(a, twin, b);
});

test('a second process that says it is a node which is there is refused, until that one is gone', async (t) => {
  const [a, b] = await pair();
  const copy = await TestNode.open({ node: 2, life: 99 });
  copy.know(a);
  await copy.heard('refused 1 TWICE');
  t.true(a.links.isConnected(two), 'the one that was there is not disturbed');
  t.is(a.count('broken 2'), 0);
  await b.links.close();
  a.know(copy);
  await a.until(() => a.links.isConnected(two));
  await closeAll(a, copy);
});

test('a node that nobody named is refused, and connected as soon as it is named', async (t) => {
  const a = await TestNode.open({ node: 1 });
  const b = await TestNode.open({ node: 2 });
  a.know(b);
  await a.heard('refused 2 UNKNOWN_NODE');
  await staysRefused(t, a);
  const namedAt = performance.now();
  b.know(a);
  await Promise.all([a.heard('connected 2'), b.heard('connected 1')]);
  t.true(performance.now() - namedAt < 1_000);
  await closeAll(a, b);
});

test('another format is refused, in words that any format can read', async (t) => {
  const a = await TestNode.open({ node: 1 });
  const hello = writeLinkHello({
    cluster: 'c1',
    from: two,
    to: nodeId(1),
    life: 1,
    lane: Lane.raft,
  });
  // The format follows the tag and length of the hello, and its own tag.
  hello[3] = 2;
  const { code, details, metadata } = await endOf(a.address, hello);
  t.is(code, status.FAILED_PRECONDITION);
  t.deepEqual(metadata.get(refusalTrailer), ['FORMAT']);
  t.is(details, 'the caller speaks format 2, this node format 1');
  await a.heard('refusing undefined FORMAT');
  await closeAll(a);
});

test('what is no hello is refused', async (t) => {
  const a = await TestNode.open({ node: 1 });
  for (const first of [writeFrames([]), writeFrames([Uint8Array.of(1)]), Buffer.of(0xff)]) {
    const { metadata } = await endOf(a.address, first);
    t.deepEqual(metadata.get(refusalTrailer), ['MALFORMED']);
  }
  await closeAll(a);
});

test('a link that stood is over when its peer is named no more', async (t) => {
  const [a, b] = await pair();
  a.know();
  await b.heard('broken 1');
  t.false(a.links.isConnected(two));
  t.deepEqual(a.events, ['connected 2'], 'who ends it need not be told');
  await b.heard('refused 1 UNKNOWN_NODE');
  await closeAll(a, b);
});
