import test from 'ava';
import { nodeId, TestNode, TestWire } from '../../test/transport/links.ts';
import { Lane } from './lane.ts';

/** What keeps the process alive, or would: sockets, servers and timers. */
function resources(): string[] {
  return process
    .getActiveResourcesInfo()
    .filter((name) => /TCP|Timeout|GetAddrInfo|Connect/.test(name))
    .sort();
}

/** Resolves when the present turn of the event loop is over. */
function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

async function* endless(): AsyncGenerator<Uint8Array> {
  for (;;) yield new Uint8Array(100_000);
}

// Serial: what other tests hold would be counted, too.
test.serial(
  'closing with everything under way leaves nothing, and says nothing more',
  async (t) => {
    const before = resources();
    const a = await TestNode.open({ node: 1 });
    const b = await TestNode.open({
      node: 2,
      onSnapshot: async (_peer, _header, chunks) => {
        for await (const chunk of chunks) t.true(chunk.length > 0);
      },
    });
    // One that is there and does not answer, one that refuses, one that is not there.
    const silent = await TestNode.open({ node: 3 });
    const wire = await TestWire.before(silent);
    wire.pause();
    const stranger = await TestNode.open({ node: 4, cluster: 'c2' });
    const gone = await TestNode.open({ node: 5 });
    const goneAddress = gone.address;
    await gone.links.close();
    a.know(b, [silent, wire.address], stranger, [gone, goneAddress]);
    b.know(a);
    await Promise.all([a.heard('connected 2'), a.heard('refused 4 CLUSTER')]);
    const two = nodeId(2);
    const snapshots = [1, 2, 3].map(() => a.links.sendSnapshot(two, Uint8Array.of(1), endless()));
    for (let at = 0; at < 50; at += 1) a.links.send(two, Lane.raft, new Uint8Array(100_000));
    a.links.flush();
    await b.heard('frame 1', 3);
    const said = a.events.length;
    await a.links.close();
    t.deepEqual(await Promise.all(snapshots), ['lost', 'lost', 'lost']);
    t.false(a.links.send(two, Lane.raft, Uint8Array.of(1)));
    await b.heard('broken 1');
    t.is(a.events.length, said);
    t.is(a.timers, 0);
    wire.close();
    await Promise.all([b, silent, stranger].map(({ links }) => links.close()));
    // Sockets close within a few turns; where they do not, the test takes too long.
    while (resources().length > before.length) await turn();
    t.deepEqual(resources(), before);
  },
);
