import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { connect } from '@tuplet/client';
import { median } from './latency.ts';
import { snapshotsEnded } from './memory.ts';
import { processCpuUs } from './process-cpu.ts';
import { say, verdict } from './report.ts';
import { ServerProcess } from './server-process.ts';
import { checkCount, fill } from './tuples.ts';

const targetMs = 5_000;

/** One restart, in milliseconds. */
export interface Restart {
  /** From the start of the process until it says where it serves. */
  readonly servingMs: number;
  /** From the start of the process until a client knows that all tuples are there. */
  readonly countedMs: number;
  /** CPU that the process used until then. */
  readonly cpuMs: number;
  /** Reading all files of the folder and the CRC32 of their bytes, right after. */
  readonly readMs: number;
  /** Bytes of those files. */
  readonly bytes: number;
}

/** Restarts after SIGKILL with `tuples` tuples. */
export async function restart(
  folder: string,
  { tuples, times }: { readonly tuples: number; readonly times: number },
): Promise<readonly Restart[]> {
  let server = await ServerProcess.start(folder, { probe: true });
  const restarts: Restart[] = [];
  try {
    await fill(server.address, tuples);
    await snapshotsEnded(server);
    await server.kill();
    for (let again = 0; again < times; again += 1) {
      const began = performance.now();
      server = await ServerProcess.start(folder, { data: server.folder });
      const servingMs = performance.now() - began;
      const client = await connect(`tuplet://${server.address}`);
      await checkCount(client, tuples);
      const countedMs = performance.now() - began;
      const cpuMs = processCpuUs(server.pid) / 1000;
      await client.close();
      await server.kill();
      const one = { servingMs, countedMs, cpuMs, ...readAll(server.folder) };
      restarts.push(one);
      say(`restart ${again + 1}: ${line(one)}`);
    }
  } finally {
    await server.close();
  }
  const middle = median(restarts.map(({ countedMs }) => countedMs));
  const reading = median(restarts.map(({ readMs }) => readMs));
  say(
    `restart, ${tuples} tuples: median ${middle.toFixed(0)} ms (target ${targetMs}: ` +
      `${verdict(middle <= targetMs)}); reading and checksumming the same bytes ${reading.toFixed(0)} ms`,
  );
  return restarts;
}

function line({ servingMs, countedMs, cpuMs, readMs, bytes }: Restart): string {
  return (
    `serving after ${servingMs.toFixed(0)} ms, counted after ${countedMs.toFixed(0)} ms, ` +
    `CPU ${cpuMs.toFixed(0)} ms; ` +
    `${(bytes / 1_048_576).toFixed(0)} MiB read and checksummed in ${readMs.toFixed(0)} ms`
  );
}

function readAll(folder: string): { readonly readMs: number; readonly bytes: number } {
  const began = performance.now();
  let bytes = 0;
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const content = readFileSync(join(entry.parentPath, entry.name));
    crc32(content);
    bytes += content.length;
  }
  return { readMs: performance.now() - began, bytes };
}
