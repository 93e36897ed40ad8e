import type { MemoryReport } from './probe/messages.ts';
import { say, verdict } from './report.ts';
import { ServerProcess } from './server-process.ts';
import { fill } from './tuples.ts';

/** Bytes a tuple that the server may take: history off after a snapshot, and at the defaults. */
const targets = { 'history off': 200, defaults: 400 } as const;

/** What one server came to. */
export interface MemoryResult {
  readonly name: keyof typeof targets;
  readonly tuples: number;
  readonly empty: MemoryReport;
  readonly full: MemoryReport;
  /** Snapshots ended while the tuples were written, and of how many partitions. */
  readonly snapshots: number;
  readonly snapshotPartitions: number;
  readonly bytesPerTuple: number;
}

/** The memory of `tuples` tuples of 60 bytes, two shapes indexed: with and without history. */
export async function memory(folder: string, tuples: number): Promise<readonly MemoryResult[]> {
  const results: MemoryResult[] = [];
  for (const name of ['history off', 'defaults'] as const) {
    const result = await measure(folder, name, tuples);
    results.push(result);
    print(result);
  }
  return results;
}

async function measure(
  folder: string,
  name: keyof typeof targets,
  tuples: number,
): Promise<MemoryResult> {
  const options = name === 'defaults' ? [] : ['--history-bytes', '0'];
  const server = await ServerProcess.start(folder, { probe: true, arguments: options });
  try {
    const empty = await server.ask('memory');
    await fill(server.address, tuples);
    await snapshotsEnded(server);
    const full = await server.ask('memory');
    const { ended, partitions } = await server.ask('snapshots');
    const bytesPerTuple = (full.rss - empty.rss) / tuples;
    return {
      name,
      tuples,
      empty,
      full,
      snapshots: ended,
      snapshotPartitions: partitions,
      bytesPerTuple,
    };
  } finally {
    await server.close();
  }
}

/** Resolves when nothing is being cut. */
export async function snapshotsEnded(server: ServerProcess): Promise<void> {
  for (let quiet = 0; quiet < 5; ) {
    await new Promise((resolve) => setTimeout(resolve, 100));
    const { begun, ended } = await server.ask('snapshots');
    quiet = begun === ended ? quiet + 1 : 0;
  }
}

function print(result: MemoryResult): void {
  const { name, tuples, empty, full, bytesPerTuple } = result;
  const each = (part: keyof MemoryReport): string =>
    ((full[part] - empty[part]) / tuples).toFixed(1);
  const target = targets[name];
  say(
    `memory, ${name}: ${tuples} tuples, ${bytesPerTuple.toFixed(1)} bytes of RSS each ` +
      `(target ${target}: ${verdict(bytesPerTuple <= target)})`,
  );
  say(
    `  RSS ${mebibytes(empty.rss)} empty, ${mebibytes(full.rss)} full; of the difference, bytes a ` +
      `tuple: array buffers ${each('arrayBuffers')}, heap used ${each('heapUsed')}, heap ${each('heapTotal')}; ` +
      `${result.snapshots} snapshots of ${result.snapshotPartitions} partitions`,
  );
}

function mebibytes(bytes: number): string {
  return `${(bytes / 1_048_576).toFixed(1)} MiB`;
}
