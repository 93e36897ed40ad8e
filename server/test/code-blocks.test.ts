import { connect } from '@tuplet/client';
import test, { type ExecutionContext } from 'ava';
import { MemoryDisk } from '../src/host/memory-disk.ts';
import { startNode } from '../src/node.ts';
import { blocksToRun, codeBlocks, pagesWithCode, runBlock } from './code-blocks.ts';

/** A node on real time: what a reader runs waits for it. */
async function startServer(t: ExecutionContext): Promise<string> {
  const disk = new MemoryDisk();
  const node = await startNode({ disk, listen: '127.0.0.1:0', segmentBytes: 8_388_608 });
  t.teardown(() => node.close());
  return `tuplet://${node.address}`;
}

for (const page of pagesWithCode()) {
  const blocks = blocksToRun(page);
  if (blocks.length === 0) continue;
  test(`the code of ${page} runs as it is printed`, async (t) => {
    const server = await startServer(t);
    for (const block of blocks) await runBlock(block, server);
    t.pass();
  });
}

const fixture = [
  '# A page',
  '```ts run',
  "import { connect, t } from '@tuplet/client';",
  '',
  "await using client = await connect('tuplet://localhost:7447');",
  "const space = client.space('default');",
  "await space.write(['job', 42]);",
  "const [, number] = await space.take(['job', t.int]);",
  'console.log(number + 1);',
  '```',
  'prints',
  '```text output',
  '43',
  '```',
  '````md',
  '```sh run',
  'false',
  '```',
  '````',
  '```sh run',
  'echo $TUPLET_SERVER tuplet://localhost:7447',
  '```',
  '```ts',
  'not code at all',
  '```',
].join('\n');

test('blocks are found with their language, tags, lines and output', (t) => {
  const blocks = codeBlocks('page.md', fixture);
  t.deepEqual(
    blocks.map(({ language, tags, line, output }) => [language, tags, line, output]),
    [
      ['ts', ['run'], 2, '43\n'],
      ['md', [], 15, undefined],
      ['sh', ['run'], 20, undefined],
      ['ts', [], 23, undefined],
    ],
  );
  t.is(blocks[2]?.code, 'echo $TUPLET_SERVER tuplet://localhost:7447\n');
  t.throws(() => codeBlocks('page.md', '```ts\nlet a = 1;\n'), { message: /page.md:1/ });
});

test('a block is compiled and run against the server given', async (t) => {
  const server = await startServer(t);
  const [code, , shell] = codeBlocks('page.md', fixture);
  if (code === undefined || shell === undefined) return t.fail();
  t.is((await runBlock(code, server)).stdout, '43\n');
  t.is((await runBlock(shell, server)).stdout, `${server} ${server}\n`);
  await using client = await connect(server);
  t.is(await client.space('default').count(), 0);
});

test('a block that does not compile, fails or prints something else is told with its place', async (t) => {
  const page = (info: string, code: string, output = ''): string =>
    `text\n\`\`\`${info}\n${code}\n\`\`\`\n\`\`\`text output\n${output}\n\`\`\`\n`;
  const cases: [string, RegExp][] = [
    [page('ts run', "const a: number = 'text';"), /page.md:2: ended with .*[\s\S]*TS2322/],
    [page('ts run', "throw new Error('no good');"), /page.md:2: ended with 1\n[\s\S]*no good/],
    [page('ts run', "console.log('this');", 'that'), /page.md:2: printed\nthis\ninstead of\nthat/],
    [page('sh run', 'exit 7'), /page.md:2: ended with 7/],
  ];
  for (const [text, message] of cases) {
    const [block] = codeBlocks('page.md', text);
    if (block === undefined) return t.fail();
    await t.throwsAsync(runBlock(block, 'tuplet://nowhere:1'), { message });
  }
});
