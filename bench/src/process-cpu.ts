import { readdirSync, readFileSync } from 'node:fs';

/** Microseconds of user and system time of a process, from /proc (in steps of 10 ms). */
export function processCpuUs(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /, '')
    .split(' ');
  const ticks = Number(fields[11]) + Number(fields[12]);
  return (ticks / 100) * 1_000_000;
}

/** The same of a process and of those that it, or they, have started and that still run. */
export function familyCpuUs(pid: number): number {
  const all = [pid];
  for (const parent of all) {
    for (const task of readdirSync(`/proc/${parent}/task`)) {
      const children = readFileSync(`/proc/${parent}/task/${task}/children`, 'utf8');
      all.push(...children.split(' ').filter(Boolean).map(Number));
    }
  }
  return all.reduce((sum, each) => sum + processCpuUs(each), 0);
}
