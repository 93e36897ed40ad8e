/** The system calls themselves: an answer leaves only after an fdatasync that followed its frame. */
import { spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';

const appends = 1000;

/** A process that appends entries, several at a time, and answers each on its standard output. */
function script(root: string): string {
  const module = (name: string): string => JSON.stringify(new URL(name, import.meta.url).href);
  return `
    import * as fs from 'node:fs';
    const { HostDisk } = await import(${module('./disk.js')});
    const { hostClock } = await import(${module('./clock.js')});
    const { hostRandom } = await import(${module('./random.js')});
    const { hostChecksum } = await import(${module('./checksum.js')});
    const { WriteAheadLog } = await import(${module('../storage/log.js')});
    const { log } = await WriteAheadLog.open(await HostDisk.open(${JSON.stringify(root)}), hostClock, {
      checksum: hostChecksum, random: hostRandom, segmentBytes: 256 * 1024,
      onFatal: (error) => { throw error; },
    });
    let next = 0;
    const one = () => new Promise((resolve) => {
      const index = ++next;
      const payload = new TextEncoder().encode('entry ' + index + ';');
      log.append({ entries: [{ group: 1, term: 1, index, payload }] }, () => {
        fs.writeSync(1, 'answer ' + index + ';');
        resolve();
      });
    });
    const lane = async () => { while (next < ${appends}) await one(); };
    await Promise.all(Array.from({ length: 8 }, lane));
    await log.close();`;
}

/** Answers in a trace that no sync of their file covers, and how many there are at all. */
function judge(trace: string): { early: number[]; answers: number } {
  /** By descriptor: a sync of a segment that is being prepared covers nothing of the log's. */
  const writtenTo = new Map<string, Set<string>>();
  const writtenIn = (call: string): Set<string> => {
    const descriptor = /\((\d+)/.exec(call)?.[1] ?? '';
    const written = writtenTo.get(descriptor) ?? new Set<string>();
    writtenTo.set(descriptor, written);
    return written;
  };
  const synced = new Set<string>();
  /** What a thread's call on its way will mean when it returns. */
  const calls = new Map<string, () => void>();
  const early: number[] = [];
  let answers = 0;
  for (const line of trace.split('\n')) {
    const [, thread = '', call = ''] = /^(\d+)\s+(.*)$/.exec(line) ?? [];
    if (call.startsWith('pwrite64(')) {
      const entries = call.match(/entry \d+;/g) ?? [];
      const written = writtenIn(call);
      calls.set(thread, () => {
        for (const entry of entries) written.add(entry);
      });
    } else if (call.startsWith('fdatasync(')) {
      const written = writtenIn(call);
      const covered = [...written];
      written.clear();
      calls.set(thread, () => {
        for (const entry of covered) synced.add(entry);
      });
    } else if (call.startsWith('write(1,')) {
      for (const [, index] of call.matchAll(/answer (\d+);/g)) {
        answers++;
        if (!synced.has(`entry ${index};`)) early.push(Number(index));
      }
    }
    if (call.includes('unfinished') || !/= \d+$/.test(call)) continue;
    calls.get(thread)?.();
    calls.delete(thread);
  }
  return { early, answers };
}

test('each of 1,000 answers leaves after an fdatasync that followed its frame [4.1]', (t) => {
  const root = fs.mkdtempSync(join(tmpdir(), 'tuplet-strace-'));
  t.teardown(() => fs.rmSync(root, { recursive: true, force: true }));
  const out = join(root, 'trace');
  const tracing = ['-f', '-e', 'trace=pwrite64,fdatasync,write', '-s', '65536', '-o', out];
  const node = [process.execPath, '--input-type=module', '-e', script(join(root, 'data'))];
  if (spawnSync('strace', ['-o', '/dev/null', 'true']).status !== 0) {
    t.log('skipped: strace is not there, or must not trace here');
    t.pass();
    return;
  }
  const run = spawnSync('strace', [...tracing, ...node], { encoding: 'utf8' });
  t.is(run.status, 0, run.stderr);
  const trace = fs.readFileSync(out, 'utf8');
  const { early, answers } = judge(trace);
  t.true(answers >= appends);
  t.deepEqual(early, []);
  // The judge itself can see: without the syncs every answer is early.
  const blind = trace.replaceAll(/^\d+\s+fdatasync\(.*$/gm, '');
  t.is(judge(blind).early.length, answers);
});
