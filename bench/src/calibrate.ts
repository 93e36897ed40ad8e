/**
 * What this machine does by itself, right now: figures of a shared machine mean nothing without it.
 * Run before and after each round and printed with every table.
 */
import {
  closeSync,
  fdatasyncSync,
  fsyncSync,
  mkdtempSync,
  openSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { connect as connectSocket, createServer } from 'node:net';
import { join } from 'node:path';

export interface Calibration extends CpuSpeed {
  /** fdatasyncs a second of 8 KiB writes in a preallocated file, one after the other. */
  readonly syncs: number;
  /** Echoes of 100 bytes a second over loopback, one after the other. */
  readonly echoes: number;
}

/** How fast a fixed integer loop ran. */
export interface CpuSpeed {
  /** Its rounds in a second, in millions. */
  readonly cpuMops: number;
  /** Share of the wall clock for which it had a CPU: below 1, others were at work. */
  readonly cpuShare: number;
}

/** Measures for about 3 × `windowMs`; `folder` must lie on the disk that the run uses. */
export async function calibrate(folder: string, windowMs = 300): Promise<Calibration> {
  return {
    ...cpuSpeed(windowMs),
    syncs: syncs(folder, windowMs),
    echoes: await echoes(windowMs),
  };
}

/** Runs the loop for so long. */
export function cpuSpeed(windowMs: number): CpuSpeed {
  const { user } = process.cpuUsage();
  const began = performance.now();
  let rounds = 0;
  let state = 1;
  while (performance.now() - began < windowMs) {
    for (let i = 0; i < 100_000; i++) state = Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + i;
    rounds += 100_000;
  }
  const tookMs = performance.now() - began;
  // The state is used, or the loop could be left out.
  const cpuMops = (rounds / tookMs / 1000) * (state === 0.5 ? 0 : 1);
  return { cpuMops, cpuShare: (process.cpuUsage().user - user) / 1000 / tookMs };
}

function syncs(folder: string, windowMs: number): number {
  const own = mkdtempSync(join(folder, 'calibrate-'));
  const file = openSync(join(own, 'file'), 'w');
  try {
    writeSync(file, Buffer.alloc(1 << 20));
    fsyncSync(file);
    const block = Buffer.alloc(8192, 1);
    const began = performance.now();
    let count = 0;
    while (performance.now() - began < windowMs) {
      writeSync(file, block, 0, block.length, (count % 128) * block.length);
      fdatasyncSync(file);
      count++;
    }
    return (count / (performance.now() - began)) * 1000;
  } finally {
    closeSync(file);
    rmSync(own, { recursive: true });
  }
}

async function echoes(windowMs: number): Promise<number> {
  const server = createServer((socket) => socket.setNoDelay(true).pipe(socket));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  const socket = connectSocket(address.port, '127.0.0.1').setNoDelay(true);
  const message = Buffer.alloc(100, 1);
  const began = performance.now();
  const count = await new Promise<number>((resolve, reject) => {
    let done = 0;
    let received = 0;
    socket.on('error', reject);
    socket.on('connect', () => socket.write(message));
    socket.on('data', (data) => {
      received += data.length;
      if (received < message.length) return;
      received = 0;
      done++;
      if (performance.now() - began < windowMs) socket.write(message);
      else resolve(done);
    });
  });
  const rate = (count / (performance.now() - began)) * 1000;
  socket.destroy();
  server.close();
  return rate;
}
