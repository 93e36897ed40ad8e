import test from 'ava';
import { HandClock } from '../../test/router/bench.ts';
import { snapshotLostMs } from '../base/limits.ts';
import { emptyConfiguration } from '../raft/configuration.ts';
import { Message, MessageKind, noBytes } from '../raft/message.ts';
import { SnapshotSender } from './snapshot-sender.ts';

/** A store whose loads end when the test says so, and a group that hears what was lost. */
class Bench {
  readonly clock = new HandClock();
  readonly loads: { readonly found: () => void; readonly fail: () => void }[] = [];
  readonly lost: number[] = [];
  sent = 0;
  isServing = true;
  readonly sender: SnapshotSender = new SnapshotSender({
    clock: this.clock,
    snapshots: {
      load: () =>
        new Promise((resolve, reject) => {
          const found = (): void => resolve({ mark: { index: 7 } });
          this.loads.push({ found, fail: () => reject(new Error('damaged')) });
        }),
    } as never,
    peers: { sendSnapshot: () => (this.sent += 1) } as never,
    isServing: () => this.isServing,
  });

  send(): Promise<void> {
    const message = new Message(MessageKind.snapshot, 1, 2, 3);
    message.snapshot = { index: 7, term: 3, configuration: emptyConfiguration, payload: noBytes };
    const replica = { reportSnapshot: (to: number) => this.lost.push(to) };
    return this.sender.send({ id: 4, replica } as never, message);
  }
}

test('a snapshot that was sent counts as lost after a while, once', async (t) => {
  const bench = new Bench();
  const sending = bench.send();
  bench.loads[0]?.found();
  await sending;
  t.is(bench.sent, 1);
  bench.clock.advance(snapshotLostMs - 1);
  t.deepEqual(bench.lost, []);
  bench.clock.advance(2 * snapshotLostMs);
  t.deepEqual(bench.lost, [2]);
});

test('one that cannot be read is lost at once', async (t) => {
  const bench = new Bench();
  const sending = bench.send();
  bench.loads[0]?.fail();
  await sending;
  t.deepEqual([bench.lost, bench.sent], [[2], 0]);
  bench.clock.advance(2 * snapshotLostMs);
  t.deepEqual(bench.lost, [2]);
});

for (const end of ['found', 'fail'] as const) {
  test(`a later one takes the place of one that is still read, which then ends with ${end}`, async (t) => {
    const bench = new Bench();
    const first = bench.send();
    bench.clock.advance(snapshotLostMs / 2);
    const second = bench.send();
    bench.loads[0]?.[end]();
    await first;
    t.deepEqual([bench.lost, bench.sent], [[], 0]);
    bench.loads[1]?.found();
    await second;
    t.is(bench.sent, 1);
    bench.clock.advance(snapshotLostMs - 1);
    t.deepEqual(bench.lost, [], 'its time begins with it');
    bench.clock.advance(1);
    t.deepEqual(bench.lost, [2]);
  });
}

test('a host that has ended tells nobody', async (t) => {
  const bench = new Bench();
  const sending = bench.send();
  bench.isServing = false;
  bench.loads[0]?.fail();
  await sending;
  t.deepEqual(bench.lost, []);
});
