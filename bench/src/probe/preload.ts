/**
 * Loaded into a server (`node --import …`) whose insides a workload wants to see. The
 * server's own code knows nothing of it and costs nothing without it.
 */
import { readFileSync } from 'node:fs';
import { Session } from 'node:inspector/promises';
import type {
  MemoryReport,
  Numbered,
  ProbeAnswers,
  ProbeRequest,
  SnapshotReport,
} from './messages.ts';
import { TurnMeter } from './turn-meter.ts';

/** The parts of the server's classes that are wrapped; see host/clock.ts and partition-group.ts. */
interface Clock {
  soon(run: () => void): void;
  after(delayMs: number, run: () => void): () => void;
}
interface Cut {
  next(bytesMax: number): Uint8Array | undefined;
  end(): void;
}
interface Group {
  readonly partition: number;
  cut(): Cut;
}

const server = new URL('../../../../server/dist/src/', import.meta.url);
const pageBytes = 4_096;
const meter = new TurnMeter();
const snapshots = { begun: 0, ended: 0, partitions: new Set<number>() };

const { hostClock } = (await import(new URL('host/clock.js', server).href)) as {
  readonly hostClock: Clock;
};
const { soon, after } = hostClock;
hostClock.soon = (run) => soon(() => meter.measure('turn', run));
hostClock.after = (delayMs, run) => after(delayMs, () => meter.measure('tick', run));

const { PartitionGroup } = (await import(new URL('partition/partition-group.js', server).href)) as {
  readonly PartitionGroup: { readonly prototype: Group };
};
const { cut } = PartitionGroup.prototype;
PartitionGroup.prototype.cut = function (this: Group): Cut {
  snapshots.begun += 1;
  const { partition } = this;
  const whole = meter.measure('cut', () => cut.call(this));
  let isComplete = false;
  return {
    ...whole,
    next: (bytesMax) => {
      const chunk = meter.measure('slice', () => whole.next(bytesMax));
      if (chunk === undefined) isComplete = true;
      return chunk;
    },
    end: () => {
      if (isComplete) {
        snapshots.ended += 1;
        snapshots.partitions.add(partition);
      }
      whole.end();
    },
  };
};

process.on('message', (message) => void answer(message as Numbered<ProbeRequest>));
// The channel alone does not keep the server alive.
process.channel?.unref();

async function answer({ number, body }: Numbered<ProbeRequest>): Promise<void> {
  process.send?.({ number, body: await answerTo(body) });
}

async function answerTo(request: ProbeRequest): Promise<ProbeAnswers[ProbeRequest['kind']]> {
  switch (request.kind) {
    case 'memory':
      return await memory();
    case 'begin-turns':
      meter.begin();
      return null;
    case 'turns':
      return meter.report();
    case 'snapshots':
      return {
        begun: snapshots.begun,
        ended: snapshots.ended,
        partitions: snapshots.partitions.size,
      } satisfies SnapshotReport;
  }
}

/**
 * What DevTools call "collect garbage": young generation and fragmented pages shrink too, which they do
 * not for `gc()`. Pages are given back by threads of the collector, some time afterwards.
 */
async function memory(): Promise<MemoryReport> {
  const session = new Session();
  session.connect();
  let rss = Number.POSITIVE_INFINITY;
  for (let again = 0; again < 10; again += 1) {
    await session.post('HeapProfiler.collectGarbage');
    await new Promise((resolve) => setTimeout(resolve, 200));
    const now = residentBytes();
    if (now >= rss) break;
    rss = now;
  }
  session.disconnect();
  const { heapUsed, heapTotal, arrayBuffers, external } = process.memoryUsage();
  return { rss: Math.min(rss, residentBytes()), heapUsed, heapTotal, arrayBuffers, external };
}

function residentBytes(): number {
  return Number(readFileSync('/proc/self/statm', 'utf8').split(' ')[1]) * pageBytes;
}
