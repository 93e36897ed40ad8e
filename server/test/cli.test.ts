/** The `tuplet` command as its user meets it: real processes against one real server. */
import { createServer } from 'node:net';
import { connect } from '@tuplet/client';
import test, { type ExecutionContext } from 'ava';
import { type Ended, type Running, runCommand, startCommand } from './process/command.ts';
import { ServerProcess } from './process/server-process.ts';

const server = await ServerProcess.start();
test.after.always(() => server.dispose());

/** A space of its own for each test. */
async function spaceFor(t: ExecutionContext, name: string): Promise<string> {
  const client = await connect(`tuplet://${server.address}`);
  await client.admin.createSpace(name);
  t.teardown(() => client.close());
  return name;
}

function environment(space = 'default'): NodeJS.ProcessEnv {
  return { ...process.env, TUPLET_SERVER: `tuplet://${server.address}`, TUPLET_SPACE: space };
}

function tuplet(space: string, ...args: readonly string[]): Promise<Ended> {
  return runCommand(args, { env: environment(space) });
}

function start(space: string, ...args: readonly string[]): Running {
  return startCommand(args, { env: environment(space) });
}

/** Ended well, and said so and nothing else. */
function done(t: ExecutionContext, ended: Ended, out: string | RegExp): void {
  t.deepEqual(ended.said, []);
  t.is(ended.code, 0);
  if (typeof out === 'string') t.is(ended.out, out === '' ? '' : `${out}\n`);
  else t.regex(ended.out, out);
}

function failed(t: ExecutionContext, ended: Ended, code: number, line: RegExp): void {
  t.is(ended.code, code, ended.said.join('\n'));
  t.is(ended.out, '');
  t.regex(ended.said[0] ?? '', line);
}

test('write, read, count and take, one after the other', async (t) => {
  const space = await spaceFor(t, 'operations');
  done(t, await tuplet(space, 'count'), '0');
  done(t, await tuplet(space, 'write', 'job,42,"two words",2.5,true,null'), /^written \d+\n$/);
  done(t, await tuplet(space, 'write', 'job,43', 'job,44'), /^written \d+\nwritten \d+\n$/);
  done(t, await tuplet(space, 'count'), '3');
  done(t, await tuplet(space, 'count', 'job,?int'), '2');
  done(t, await tuplet(space, 'read', 'job,?int,*,2.5,...'), 'job,42,"two words",2.5,true,null');
  done(t, await tuplet(space, 'read', 'job,?int', '--max', '10'), 'job,43\njob,44');
  done(t, await tuplet(space, 'take', 'job,>=44'), 'job,44');
  done(t, await tuplet(space, 'take', 'job,...', '--max', '10'), /^job,42,.*\njob,43\n$/);
  done(t, await tuplet(space, 'count', '--handed'), '0');
});

test('with -o json each result is an object a line', async (t) => {
  const space = await spaceFor(t, 'objects');
  const written = await tuplet(space, 'write', '-o', 'json', 'job,1,0x00ff', '--lease', '1h');
  done(t, written, /^\{.*\}\n$/);
  const { id, leaseEnd } = JSON.parse(written.out);
  t.true(Number.isSafeInteger(id));
  t.true(Date.parse(leaseEnd) > Date.now());
  const read = JSON.parse((await tuplet(space, 'read', '-o', 'json', 'job,...')).out);
  t.deepEqual(read.tuple, ['job', 1, { $bytes: '00ff' }]);
  t.like(read, { id, deliveries: 0, leaseEnd });
  t.deepEqual(JSON.parse((await tuplet(space, 'count', '-o', 'json')).out), { count: 1 });
  t.is(JSON.parse((await tuplet(space, 'take', '-o', 'json', 'job,...')).out).id, id);
});

test('nothing found is exit code 3, at once and after a wait', async (t) => {
  const space = await spaceFor(t, 'empty');
  for (const args of [
    ['read', 'job,...'],
    ['take', 'job,...'],
    ['take', 'job,...', '--max', '5', '-o', 'json'],
    ['take', 'job,...', '--wait', '100ms'],
  ]) {
    t.deepEqual(await tuplet(space, ...args), { code: 3, out: '', said: [] });
  }
});

test('a take that waits prints what is written meanwhile', async (t) => {
  const space = await spaceFor(t, 'waiting');
  const taking = start(space, 'take', 'job,...', '--wait');
  done(t, await tuplet(space, 'write', 'job,1'), /^written/);
  done(t, await taking.ended, 'job,1');
});

test('spaces are created, listed, described and dropped', async (t) => {
  const create = ['space', 'create', 'orders', '--rule', 'job/64/1', '--tuple-bytes-max', '2000'];
  done(t, await tuplet('default', ...create), /^created orders \(id \d+\)\n$/);
  const like = await tuplet(
    'default',
    'space',
    'create',
    'orders-done',
    '--like',
    'orders',
    '-o',
    'json',
  );
  t.like(JSON.parse(like.out), { name: 'orders-done', routingName: 'orders' });
  const list = await tuplet('default', 'space', 'list');
  done(t, list, /^NAME +ID +ROUTING +RULES +CREATED\n/);
  t.regex(list.out, /^orders +\d+ +orders +1 +\d{4}-/m);
  const listed = await tuplet('default', 'space', 'list', '-o', 'json');
  const names = listed.out
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line).name);
  t.true(names.includes('default') && names.includes('orders'));
  const described = await tuplet('default', 'space', 'describe', 'orders');
  done(t, described, /^name +orders\n/);
  t.regex(described.out, /^rule +job over 64 slots by field 1$/m);
  t.regex(described.out, /^largest tuple +2000 bytes$/m);
  const json = await tuplet('default', 'space', 'describe', 'orders', '-o', 'json');
  t.like(JSON.parse(json.out), {
    name: 'orders',
    rules: [{ tag: 'job', spread: 64, fields: [1] }],
    tupleBytesMax: 2000,
  });
  done(t, await tuplet('default', 'space', 'drop', 'orders'), 'dropped orders');
  const dropped = await tuplet('default', 'space', 'drop', 'orders-done', '-o', 'json');
  t.deepEqual(JSON.parse(dropped.out), { dropped: 'orders-done' });
});

test('notify prints events until it is interrupted, which is no failure', async (t) => {
  const space = await spaceFor(t, 'events');
  const client = await connect(`tuplet://${server.address}`);
  t.teardown(() => client.close());
  const all = start(space, 'notify', 'job,...');
  const taken = start(space, 'notify', '-k', 'taken', '-o', 'json');
  const first = Promise.all([all.lines(1), taken.lines(1)]);
  let seen = false;
  void first.then(() => {
    seen = true;
  });
  // Nobody says when the two listen: until then nothing of this is seen.
  for (let each = 0; !seen; each += 1) {
    await client.space(space).write(['job', each]);
    await client.space(space).take(['job', each]);
  }
  const [[line = ''], [object = '']] = await first;
  t.regex(line, /^\d{4}-\S+ {2}(written|taken) +job,\d+$/);
  t.like(JSON.parse(object), { kind: 'taken' });
  for (const { child, ended } of [all, taken]) {
    child.kill('SIGINT');
    const { code, said } = await ended;
    t.deepEqual({ code, said }, { code: 0, said: [] });
  }
});

test('a refusal is exit code 1, in one line with its reason', async (t) => {
  const space = await spaceFor(t, 'refusing');
  failed(t, await tuplet(space, 'space', 'drop', 'none'), 1, /^tuplet: SPACE_NOT_FOUND: /);
  failed(t, await tuplet(space, 'space', 'create', 'refusing'), 1, /^tuplet: SPACE_EXISTS: /);
  failed(t, await tuplet('none', 'write', 'job,1'), 1, /^tuplet: SPACE_NOT_FOUND: /);
});

test('a command line that cannot be meant is exit code 2', async (t) => {
  const space = await spaceFor(t, 'usage');
  failed(t, await tuplet(space, 'write', 'job,"'), 2, /^tuplet: /);
  failed(t, await tuplet(space, 'take', 'job', '--wait', 'soon'), 2, /A duration looks like/);
  failed(t, await tuplet(space, 'take', 'job', '--max', '1001'), 2, /^tuplet: /);
  failed(t, await tuplet(space, 'take'), 2, /missing required argument/);
  failed(t, await tuplet(space, 'write', 'job', '--nope'), 2, /unknown option/);
  failed(t, await tuplet(space, 'count', '-o', 'xml'), 2, /Allowed choices are table, json/);
  failed(t, await tuplet(space, 'space', 'create', 'x', '--rule', 'job'), 2, /A rule looks like/);
  failed(t, await tuplet(space, 'notify', '-k', 'seen'), 2, /There are written, taken/);
  failed(t, await tuplet(space, 'serve', '--partitions', '0'), 2, /1 to 256 partitions/);
  failed(t, await tuplet(space, 'nothing'), 2, /unknown command/);
});

test('a server that does not answer is exit code 4', async (t) => {
  const listener = createServer();
  const port = await new Promise<number>((resolve) => {
    listener.listen(0, '127.0.0.1', () => {
      const address = listener.address();
      resolve(typeof address === 'object' && address !== null ? address.port : 0);
    });
  });
  await new Promise((resolve) => listener.close(resolve));
  const ended = await runCommand(['count', '--server', `tuplet://127.0.0.1:${port}`]);
  failed(t, ended, 4, /^tuplet: [A-Z_]+: /);
});

test('every command has help with examples, and the program its version', async (t) => {
  const commands = [
    ['serve'],
    ['write'],
    ['read'],
    ['take'],
    ['count'],
    ['notify'],
    ['space', 'create'],
    ['space', 'list'],
    ['space', 'describe'],
    ['space', 'drop'],
  ];
  for (const command of commands) {
    const help = await tuplet('default', ...command, '--help');
    done(t, help, new RegExp(`^Usage: tuplet ${command.join(' ')} `));
    t.regex(help.out, new RegExp(`^Examples:\\n {2}\\$ tuplet ${command.join(' ')}`, 'm'));
  }
  const whole = await tuplet('default', '--help');
  for (const [name = ''] of commands) t.true(whole.out.includes(`  ${name} `), name);
  done(t, await tuplet('default', '--version'), /^\d+\.\d+\.\d+/);
});
