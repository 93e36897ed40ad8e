import test, { type ExecutionContext } from 'ava';
import type { NodeId } from '../base/ids.ts';
import { Prng } from '../base/prng.ts';
import { MemoryDisk } from '../host/memory-disk.ts';
import { standingClock } from '../partition/testing-groups.ts';
import type { JoinOutcome } from '../transport/ask-to-join.ts';
import type { JoinRequest } from '../transport/join-codec.ts';
import { readNodeIdentity, writeNodeIdentity } from './identity.ts';
import { begun, type JoinOptions, join } from './join.ts';

const answer = {
  cluster: 'c'.repeat(32),
  node: 4 as NodeId,
  nodes: [{ node: 1 as NodeId, address: 'a:1' }],
};
const taken: JoinOutcome = { kind: 'joined', answer };

/** A joining whose seeds answer as the test says; what they were asked. */
function joining(
  disk: MemoryDisk,
  outcomes: readonly JoinOutcome[],
): { readonly options: JoinOptions; readonly asked: { seed: string; request: JoinRequest }[] } {
  const asked: { seed: string; request: JoinRequest }[] = [];
  const left = [...outcomes];
  const options: JoinOptions = {
    disk,
    clock: {
      ...standingClock,
      after: (_ms, run) => {
        queueMicrotask(run);
        return () => undefined;
      },
    },
    random: new Prng(1, 'join'),
    seeds: ['a:1', 'b:2'],
    describe: (key) => ({ name: `node-${key.slice(0, 4)}`, zone: '', peerAddress: 'me:3' }),
    ask: async (seed, request) => {
      asked.push({ seed, request });
      return left.shift() ?? taken;
    },
    onWaiting: () => undefined,
  };
  return { options, asked };
}

test('a node asks one seed after the other until it is taken in, always with the same key', async (t) => {
  const disk = new MemoryDisk();
  const away: JoinOutcome = { kind: 'unavailable', message: 'nobody leads' };
  const { options, asked } = joining(disk, [away, away, away]);
  t.deepEqual((await join(options)).joined, answer);
  t.deepEqual(
    asked.map(({ seed }) => seed),
    ['a:1', 'b:2', 'a:1', 'b:2'],
  );
  t.is(new Set(asked.map(({ request }) => request.key)).size, 1);
  t.regex(asked[0]?.request.key ?? '', /^[0-9a-f]{32}$/);
  // Once is enough: it knows who it is.
  const again = joining(disk, []);
  t.deepEqual((await join(again.options)).joined, answer);
  t.deepEqual(again.asked, []);
});

test('a node that crashed before the answer came asks again with the same key', async (t) => {
  const disk = new MemoryDisk();
  const refused: JoinOutcome = { kind: 'refused', message: 'the name is taken' };
  const first = joining(disk, [refused]);
  await t.throwsAsync(join(first.options), { message: /a:1 refuses this node: the name is taken/ });
  const second = joining(disk, []);
  await join({ ...second.options, random: new Prng(2, 'another') });
  t.is(second.asked[0]?.request.key, first.asked[0]?.request.key);
});

async function withLog(t: ExecutionContext, identity: 'none' | 'begun'): Promise<MemoryDisk> {
  const disk = new MemoryDisk();
  if (identity === 'begun') {
    const joined = await join(joining(disk, []).options);
    await begun(disk, joined);
    t.true((await readNodeIdentity(disk))?.isBegun);
  }
  return disk;
}

test('a node that has lost its log does not come back as who it was', async (t) => {
  const disk = await withLog(t, 'begun');
  await t.throwsAsync(join(joining(disk, []).options), { message: /the data of node 4 is lost/ });
});

test('data of a founder joins nothing', async (t) => {
  const disk = await withLog(t, 'none');
  await disk.create('log/identity');
  const { options, asked } = joining(disk, []);
  await t.throwsAsync(join(options), { message: /that of a founder/ });
  t.deepEqual(asked, []);
});

test('an identity of another format, or that cannot be read, is refused', async (t) => {
  const disk = new MemoryDisk();
  await writeNodeIdentity(disk, { key: 'a'.repeat(32), isBegun: false });
  t.deepEqual(await readNodeIdentity(disk), {
    format: 1,
    key: 'a'.repeat(32),
    isBegun: false,
  } as never);
  const texts: readonly (readonly [string, RegExp])[] = [
    ['{"format":2,"key":"x"}', /identity/],
    ['{"format":1,"key":"x"}', /no key of a node/],
    ['{"form', /cannot be read/],
  ];
  for (const [text, message] of texts) {
    await disk.remove('node.json');
    const file = await disk.create('node.json');
    await file.write(0, new TextEncoder().encode(text));
    await t.throwsAsync(readNodeIdentity(disk), { message });
  }
});
