/**
 * One process to a data folder. Node has no flock, but a lock of flock(2) belongs to the open file, not
 * to the process that asked: the `flock` command (util-linux, busybox) locks the file that we hold open
 * and hand down to it, and ends; the lock stays until our file is closed, by us or by our death.
 *
 * Why not a file with our pid: a pid says nothing in another container, pids come again, and two that
 * find a stale file race for it. The kernel's lock has none of that, and holds between containers that
 * share the folder. The price: one short process at start, the command must be there, and a network
 * file system without locks does not protect.
 */
import { spawn } from 'node:child_process';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { type Cancel, DiskError } from '../base/doors.ts';

const lockName = 'lock';
/** What flock is told to exit with when another holds the lock. */
const takenCode = 75;

/** Takes a folder; rejects with `denied` where another process has it. */
export async function lockFolder(root: string): Promise<Cancel> {
  const path = join(root, lockName);
  const descriptor = fs.openSync(path, fs.constants.O_RDWR | fs.constants.O_CREAT, 0o600);
  try {
    const code = await flock(descriptor);
    if (code === takenCode) {
      const holder = fs.readFileSync(path, 'utf8').trim();
      throw new DiskError('denied', `another process (pid ${holder}) uses the data folder ${root}`);
    }
    if (code !== 0) throw new DiskError('io', `flock ended with code ${code} for ${path}`);
    fs.ftruncateSync(descriptor, 0);
    // For people; nothing is decided by it.
    fs.writeSync(descriptor, `${process.pid}\n`, 0);
  } catch (error) {
    fs.closeSync(descriptor);
    throw error;
  }
  let held = true;
  return () => {
    if (held) fs.closeSync(descriptor);
    held = false;
  };
}

function flock(descriptor: number): Promise<number | null> {
  return new Promise((resolve, reject) => {
    const child = spawn('flock', ['-n', '-x', '-E', String(takenCode), '3'], {
      stdio: ['ignore', 'ignore', 'ignore', descriptor],
    });
    child.on('error', (cause) => {
      const message = 'the flock command is needed to lock the data folder (package util-linux)';
      reject(new DiskError('denied', message, { cause }));
    });
    child.on('close', (code) => resolve(code));
  });
}
