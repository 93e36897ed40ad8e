import { EventEmitter } from 'node:events';
import * as contract from '@tuplet/proto/contract';
import test from 'ava';
import { HandClock } from '../../test/router/bench.ts';
import type { NodeId, PartitionId, Term } from '../base/ids.ts';
import { topologyMs } from '../base/limits.ts';
import type { ClusterView, PartitionLeader } from '../cluster/cluster-view.ts';
import type { Router } from '../router/router.ts';
import { Exchange, type ExchangeStream } from './exchange.ts';
import { InFlight } from './in-flight.ts';
import { TopologyFeed } from './topology.ts';

/** A cluster of two nodes whose leaders the test moves. */
class MovedView implements ClusterView {
  readonly clusterId = 'c0ffee';
  readonly self = 2 as NodeId;
  readonly partitions = 3;
  readonly leaders = new Map<number, PartitionLeader>();
  readonly #observers = new Set<() => void>();

  nodes(): { id: NodeId; clientAddress: string }[] {
    return [1, 2].map((id) => ({ id: id as NodeId, clientAddress: `node-${id}:7447` }));
  }
  leaderOf(partition: PartitionId): PartitionLeader | undefined {
    return this.leaders.get(partition);
  }
  onChange(run: () => void): () => void {
    this.#observers.add(run);
    return () => void this.#observers.delete(run);
  }
  lead(partition: number, node: number, epoch: number): void {
    this.leaders.set(partition, { node: node as NodeId, epoch: epoch as Term });
    for (const run of this.#observers) run();
  }
}

/** A connection that takes messages when the test says so, or at once. */
class FakeStream extends EventEmitter implements ExchangeStream {
  readonly heard: contract.ExchangeResponse[] = [];
  readonly untaken: (() => void)[] = [];
  takes = true;
  isEnded = false;

  getPeer(): string {
    return 'peer';
  }
  pause(): void {}
  resume(): void {}
  isPaused(): boolean {
    return false;
  }
  write(message: Buffer, taken: () => void): void {
    this.heard.push(contract.ExchangeResponse.decode(message));
    if (this.takes) taken();
    else this.untaken.push(taken);
  }
  end(): void {
    this.isEnded = true;
  }
  ask(request: contract.ExchangeRequestInit): void {
    this.emit('data', Buffer.from(contract.ExchangeRequest.encode(request)));
  }
}

function makeBench() {
  const clock = new HandClock();
  const view = new MovedView();
  view.lead(1, 2, 4);
  view.lead(3, 1, 7);
  const topology = new TopologyFeed(view, clock);
  const open = (): FakeStream => {
    const stream = new FakeStream();
    new Exchange(stream, {
      router: { pressed: undefined } as unknown as Router,
      inFlight: new InFlight(10),
      streams: new Set(),
      topology,
      soon: (run) => clock.soon(run),
      failed: (error) => {
        throw error;
      },
      limits: { replyBytesPause: 1e6, replyBytesMax: 1e6, replyMessageBytes: 1e6 },
    }).start();
    return stream;
  };
  return { clock, view, topology, open };
}

test('who asks is told of nodes and leaders at once, and nobody else ever', (t) => {
  const { clock, view, open } = makeBench();
  const [asking, plain] = [open(), open()];
  asking.ask({ topology: true });
  plain.ask({ calls: [{ callId: 1, request: null }] });
  clock.turn();
  t.deepEqual(
    asking.heard.map(({ topology }) => topology),
    [
      {
        clusterId: 'c0ffee',
        node: 2,
        nodes: [
          { node: 1, address: 'node-1:7447' },
          { node: 2, address: 'node-2:7447' },
        ],
        leaders: [
          { partition: 1, node: 2, epoch: 4 },
          { partition: 3, node: 1, epoch: 7 },
        ],
      },
    ],
  );
  view.lead(2, 1, 1);
  clock.advance(1_000);
  clock.turn();
  t.is(asking.heard.at(-1)?.topology?.leaders.length, 3);
  t.deepEqual(
    plain.heard.map(({ topology }) => topology),
    [null],
  );
});

test('changes are told at most every 100 ms, the first at once and the last one always', (t) => {
  const { clock, view, open } = makeBench();
  const stream = open();
  stream.ask({ topology: true });
  clock.turn();
  const pass = (ms: number): number => {
    clock.advance(ms);
    clock.turn();
    return stream.heard.length;
  };
  view.lead(1, 1, 10);
  view.lead(2, 1, 10);
  t.is(pass(0), 2);
  for (let epoch = 11; epoch < 20; epoch += 1) {
    view.lead(1, 1, epoch);
    pass(topologyMs / 10);
  }
  t.is(stream.heard.length, 2);
  t.is(pass(topologyMs / 10), 3);
  t.is(stream.heard.at(-1)?.topology?.leaders[0]?.epoch, 19);
  t.is(pass(10 * topologyMs), 3);
});

test('each asking is answered: so a client sees that the server is there', (t) => {
  const { clock, open } = makeBench();
  const stream = open();
  for (const count of [1, 2, 3]) {
    stream.ask({ topology: true });
    clock.turn();
    t.is(stream.heard.length, count);
  }
});

test('for a connection that takes nothing one message waits, and it is the newest', (t) => {
  const { clock, view, open } = makeBench();
  const stream = open();
  stream.takes = false;
  for (let epoch = 10; epoch < 20; epoch += 1) {
    stream.ask({ topology: true });
    view.lead(1, 1, epoch);
    clock.advance(topologyMs);
    clock.turn();
  }
  t.is(stream.heard.length, 2);
  view.lead(1, 1, 20);
  for (const taken of stream.untaken.splice(0)) taken();
  t.is(stream.heard.length, 3);
  t.is(stream.heard.at(-1)?.topology?.leaders[0]?.epoch, 20);
});

test('a stream that is gone hears nothing more, and holds no timer', (t) => {
  const { clock, view, open } = makeBench();
  const [broken, ended] = [open(), open()];
  for (const stream of [broken, ended]) stream.ask({ topology: true });
  clock.turn();
  broken.emit('cancelled');
  ended.emit('end');
  t.true(ended.isEnded);
  view.lead(1, 1, 10);
  t.is(clock.timers, 0);
  clock.advance(1_000);
  clock.turn();
  t.is(broken.heard.length + ended.heard.length, 2);
});
