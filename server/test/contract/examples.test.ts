/** The client's examples run as they are printed. */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { connect } from '@tuplet/client';
import test, { type ExecutionContext } from 'ava';
import { startTestNode } from '../../src/testing.ts';

interface Run {
  readonly output: Promise<{ readonly code: number | null; readonly text: string }>;
  interrupt(): void;
}

function run(t: ExecutionContext, name: string, url: string): Run {
  const path = fileURLToPath(
    new URL(`../../../../client/dist/examples/${name}.js`, import.meta.url),
  );
  const child = spawn(process.execPath, [path, url], { stdio: ['ignore', 'pipe', 'pipe'] });
  t.teardown(() => child.kill('SIGKILL'));
  let text = '';
  child.stdout.on('data', (bytes) => {
    text += String(bytes);
  });
  child.stderr.on('data', (bytes) => {
    text += String(bytes);
  });
  const output = new Promise<{ code: number | null; text: string }>((resolve) => {
    child.on('close', (code) => resolve({ code, text }));
  });
  return { output, interrupt: () => child.kill('SIGINT') };
}

test('the producer and two workers of the examples work together [3.5]', async (t) => {
  const node = await startTestNode();
  t.teardown(() => node.close());
  // A worker that comes before the space would end with SPACE_NOT_FOUND.
  await using client = await connect(node.url);
  await client.admin.createSpace('jobs');
  const producer = run(t, 'producer', node.url);
  const workers = [run(t, 'worker', node.url), run(t, 'worker', node.url)];
  const done = await producer.output;
  t.is(done.code, 0, done.text);
  t.is(done.text.split('\n').filter((line) => line.includes('squared is')).length, 10);
  t.regex(done.text, /^10 squared is 100$/m);
  for (const worker of workers) worker.interrupt();
  for (const worker of workers) t.is((await worker.output).code, 0, (await worker.output).text);
});
