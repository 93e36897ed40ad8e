import { createHash } from 'node:crypto';
import { status } from '@grpc/grpc-js';
import test from 'ava';
import { nodeId, pair, TestNode, TestWire } from '../../test/transport/links.ts';
import { linkPieceBytesMax } from '../base/limits.ts';
import { Prng } from '../base/prng.ts';
import { Lane, laneRules } from './lane.ts';
import type { LinksOptions } from './links.ts';
import { Dialled } from './peer-client.ts';
import { writeSnapshotPart } from './peer-codec.ts';

const one = nodeId(1);
const two = nodeId(2);
const header = Uint8Array.of(1, 2, 3);

/** Chunks of sizes that fit nothing, and what of them was pulled. */
function source(count: number, seed = 1): { chunks: AsyncGenerator<Uint8Array>; pulled: Pulled } {
  const prng = new Prng(seed);
  const pulled: Pulled = { count: 0, bytes: 0, hash: createHash('sha256'), isLetGo: false };
  async function* make(): AsyncGenerator<Uint8Array> {
    try {
      for (let at = 0; at < count; at += 1) {
        const chunk = new Uint8Array(prng.below(600_000)).fill(prng.below(256));
        pulled.count += 1;
        pulled.bytes += chunk.length;
        pulled.hash.update(chunk);
        yield chunk;
      }
    } finally {
      pulled.isLetGo = true;
    }
  }
  return { chunks: make(), pulled };
}

interface Pulled {
  count: number;
  bytes: number;
  readonly hash: ReturnType<typeof createHash>;
  isLetGo: boolean;
}

/** A receiver that keeps all in view. */
function sink(): { onSnapshot: LinksOptions['onSnapshot']; taken: Taken } {
  const taken: Taken = { headers: [], bytes: 0, hash: createHash('sha256'), ends: [], most: 0 };
  return {
    taken,
    onSnapshot: async (peer, said, chunks) => {
      taken.headers.push([peer, ...said]);
      try {
        for await (const chunk of chunks) {
          taken.bytes += chunk.length;
          taken.most = Math.max(taken.most, chunk.length);
          taken.hash.update(chunk);
        }
      } catch (error) {
        taken.ends.push('given up');
        throw error;
      }
      taken.ends.push('whole');
    },
  };
}

interface Taken {
  readonly headers: number[][];
  bytes: number;
  most: number;
  readonly hash: ReturnType<typeof createHash>;
  readonly ends: string[];
}

async function closeAll(...nodes: readonly TestNode[]): Promise<void> {
  await Promise.all(nodes.map(({ links }) => links.close()));
}

/** Something that happens once, and that may be waited for. */
function signal(): { readonly came: Promise<void>; fire(): void } {
  let fire = (): void => {};
  const came = new Promise<void>((resolve) => {
    fire = resolve;
  });
  return { came, fire: () => fire() };
}

test('a snapshot arrives whole, in pieces of bounded size', async (t) => {
  const { onSnapshot, taken } = sink();
  const [a, b] = await pair({}, { onSnapshot });
  const { chunks, pulled } = source(40);
  t.is(await a.links.sendSnapshot(two, header, chunks), 'arrived');
  t.deepEqual(taken.headers, [[1, 1, 2, 3]]);
  t.true(taken.bytes > 5_000_000);
  t.is(taken.bytes, pulled.bytes);
  t.is(taken.hash.digest('hex'), pulled.hash.digest('hex'));
  t.is(taken.most, linkPieceBytesMax);
  t.deepEqual(taken.ends, ['whole']);
  t.true(pulled.isLetGo);
  await closeAll(a, b);
});

test('a snapshot of nothing arrives', async (t) => {
  const { onSnapshot, taken } = sink();
  const [a, b] = await pair({}, { onSnapshot });
  t.is(await a.links.sendSnapshot(two, header, source(0).chunks), 'arrived');
  t.deepEqual(taken.ends, ['whole']);
  await closeAll(a, b);
});

test('it has not arrived before the receiver has taken it', async (t) => {
  const taking = signal();
  const release = signal();
  const [a, b] = await pair(
    {},
    {
      onSnapshot: async (_peer, _header, chunks) => {
        for await (const chunk of chunks) t.true(chunk.length > 0);
        taking.fire();
        await release.came;
      },
    },
  );
  let end: string | undefined;
  const sent = a.links.sendSnapshot(two, header, source(3).chunks).then((each) => {
    end = each;
  });
  await taking.came;
  const { ticks } = a;
  await a.until(() => a.ticks >= ticks + 2);
  t.is(end, undefined);
  release.fire();
  await sent;
  t.is(end, 'arrived');
  await closeAll(a, b);
});

test('a receiver that does not read holds its sender up', async (t) => {
  const begun = signal();
  const release = signal();
  const { onSnapshot, taken } = sink();
  const [a, b] = await pair(
    {},
    {
      onSnapshot: async (peer, said, chunks) => {
        begun.fire();
        await release.came;
        await onSnapshot(peer, said, chunks);
      },
    },
  );
  const { chunks, pulled } = source(60);
  const sent = a.links.sendSnapshot(two, header, chunks);
  await begun.came;
  const { ticks } = a;
  await a.until(() => a.ticks >= ticks + 5);
  t.true(pulled.count <= 4, `${pulled.count} chunks were pulled`);
  t.is(a.count('broken 2'), 0);
  release.fire();
  t.is(await sent, 'arrived');
  t.is(taken.bytes, pulled.bytes);
  await closeAll(a, b);
});

test('a snapshot that its sender gives up is not whole to its receiver', async (t) => {
  const { onSnapshot, taken } = sink();
  const [a, b] = await pair({}, { onSnapshot });
  for (let round = 1; round <= 10; round += 1) {
    const abort = new AbortController();
    const { chunks, pulled } = source(1_000_000, round);
    const sent = a.links.sendSnapshot(two, header, chunks, { signal: abort.signal });
    await a.until(() => pulled.count > round * 2);
    await b.until(() => taken.headers.length === round);
    abort.abort();
    t.is(await sent, 'lost');
    await b.until(() => taken.ends.length === round);
    await a.until(() => pulled.isLetGo);
  }
  t.deepEqual(new Set(taken.ends), new Set(['given up']));
  t.deepEqual(a.events, ['connected 2'], 'the link goes on');
  await closeAll(a, b);
});

test('a source that fails gives its snapshot up', async (t) => {
  const { onSnapshot, taken } = sink();
  const [a, b] = await pair({}, { onSnapshot });
  async function* failing(): AsyncGenerator<Uint8Array> {
    yield new Uint8Array(300_000);
    throw new Error('the disk is gone');
  }
  t.is(await a.links.sendSnapshot(two, header, failing()), 'lost');
  await b.until(() => taken.ends.length === 1);
  t.deepEqual(taken.ends, ['given up']);
  await closeAll(a, b);
});

for (const how of ['rejecting', 'not reading to the end', 'not reading at all'] as const) {
  test(`a receiver gives a snapshot up by ${how}`, async (t) => {
    const [a, b] = await pair(
      {},
      {
        onSnapshot: async (_peer, _header, chunks) => {
          if (how === 'not reading at all') return;
          for await (const chunk of chunks) {
            t.true(chunk.length > 0);
            break;
          }
          if (how === 'rejecting') throw new Error('not now');
        },
      },
    );
    const { chunks, pulled } = source(1_000_000);
    t.is(await a.links.sendSnapshot(two, header, chunks), 'lost');
    await a.until(() => pulled.isLetGo);
    t.deepEqual(a.events, ['connected 2']);
    await closeAll(a, b);
  });
}

test('a link that breaks loses its snapshots, and both sides know', async (t) => {
  const { onSnapshot, taken } = sink();
  const a = await TestNode.open({ node: 1 });
  const b = await TestNode.open({ node: 2, onSnapshot });
  const wire = await TestWire.before(b);
  a.know([b, wire.address]);
  b.know(a);
  await Promise.all([a.heard('connected 2'), b.heard('connected 1')]);
  const running = source(1_000_000);
  const all = [
    a.links.sendSnapshot(two, header, running.chunks),
    a.links.sendSnapshot(two, header, source(1_000_000).chunks),
    a.links.sendSnapshot(two, header, source(1_000_000).chunks),
  ];
  await a.until(() => running.pulled.count > 5);
  await b.until(() => taken.headers.length === 2);
  wire.cut();
  t.deepEqual(await Promise.all(all), ['lost', 'lost', 'lost']);
  await b.until(() => taken.ends.length === 2);
  t.deepEqual(taken.ends, ['given up', 'given up']);
  await a.heard('connected 2', 2);
  t.is(await a.links.sendSnapshot(two, header, source(2).chunks), 'arrived');
  wire.close();
  await closeAll(a, b);
});

test('a snapshot of another size than it says is not whole', async (t) => {
  const { onSnapshot, taken } = sink();
  const a = await TestNode.open({ node: 1 });
  const b = await TestNode.open({ node: 2, onSnapshot });
  b.know(a);
  const nowhere = await TestWire.before(undefined);
  a.know([b, nowhere.address]);
  // Its own dial leads nowhere: the test speaks in its place.
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
  const parts = [
    { hello: dialled.snapshotHello, header },
    { piece: Uint8Array.of(1, 2, 3) },
    { totalBytes: 4 },
  ].map(writeSnapshotPart);
  const code = await new Promise((resolve) => {
    const next = (): void => {
      const part = parts.shift();
      if (part !== undefined) call.send(part);
    };
    const call = dialled.openSnapshot({
      message: () => {},
      taken: next,
      ended: (ended) => resolve(ended.code),
    });
    next();
  });
  t.is(code, status.INVALID_ARGUMENT);
  t.deepEqual(taken.ends, ['given up']);
  dialled.close();
  nowhere.close();
  await closeAll(a, b);
});

test('two snapshots go to different peers at once', async (t) => {
  const [toTwo, toThree] = [sink(), sink()];
  const a = await TestNode.open({ node: 1 });
  const b = await TestNode.open({ node: 2, onSnapshot: toTwo.onSnapshot });
  const c = await TestNode.open({ node: 3, onSnapshot: toThree.onSnapshot });
  a.know(b, c);
  b.know(a);
  c.know(a);
  await a.until(() => a.links.isConnected(two) && a.links.isConnected(nodeId(3)));
  const [first, second] = [source(30, 1), source(30, 2)];
  const ends = await Promise.all([
    a.links.sendSnapshot(two, header, first.chunks),
    a.links.sendSnapshot(nodeId(3), header, second.chunks),
  ]);
  t.deepEqual(ends, ['arrived', 'arrived']);
  t.is(toTwo.taken.hash.digest('hex'), first.pulled.hash.digest('hex'));
  t.is(toThree.taken.hash.digest('hex'), second.pulled.hash.digest('hex'));
  await closeAll(a, b, c);
});

test('further snapshots to one peer wait their turn', async (t) => {
  const { onSnapshot, taken } = sink();
  const [a, b] = await pair({}, { onSnapshot });
  const abort = new AbortController();
  const endless = [source(1_000_000), source(1_000_000)];
  const running = endless.map(({ chunks }) =>
    a.links.sendSnapshot(two, header, chunks, { signal: abort.signal }),
  );
  const third = source(3);
  const waiting = a.links.sendSnapshot(two, header, third.chunks);
  await a.until(() => endless.every(({ pulled }) => pulled.count > 5));
  t.is(third.pulled.count, 0);
  abort.abort();
  t.deepEqual(await Promise.all(running), ['lost', 'lost']);
  t.is(await waiting, 'arrived');
  t.is(taken.headers.length, 3);
  await closeAll(a, b);
});

test('a long snapshot holds up neither entries nor heartbeats', async (t) => {
  const { onSnapshot, taken } = sink();
  const [a, b] = await pair({}, { onSnapshot });
  const abort = new AbortController();
  const { chunks } = source(1_000_000);
  const sent = a.links.sendSnapshot(two, header, chunks, { signal: abort.signal });
  await b.until(() => taken.bytes > 1_000_000);
  const tookMs: number[] = [];
  for (let round = 1; round <= 50; round += 1) {
    const before = taken.bytes;
    const sentAt = performance.now();
    a.links.send(two, Lane.heartbeat, Uint8Array.of(round));
    a.links.send(two, Lane.raft, Uint8Array.of(round));
    a.links.flush();
    await b.until(() => b.frames.length === round * 2);
    tookMs.push(performance.now() - sentAt);
    t.true(taken.bytes - before < 3_000_000, `${taken.bytes - before} bytes came before`);
  }
  tookMs.sort((x, y) => x - y);
  t.log(`median ${tookMs[25]?.toFixed(1)} ms, most ${tookMs.at(-1)?.toFixed(1)} ms`);
  abort.abort();
  t.is(await sent, 'lost');
  t.deepEqual(a.events, ['connected 2']);
  t.true(b.frames.every(({ peer }) => peer === one));
  await closeAll(a, b);
});
