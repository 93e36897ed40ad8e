import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Channel, ChannelCredentials, status } from '@grpc/grpc-js';
import test, { type ExecutionContext } from 'ava';
import { nodeId, pair, TestNode } from '../../test/transport/links.ts';
import { Lane } from './lane.ts';
import { OutgoingCall } from './outgoing-call.ts';
import { writeLinkHello } from './peer-codec.ts';
import type { MutualTls } from './peer-credentials.ts';
import { linkPath } from './peer-service.ts';

const one = nodeId(1);
const two = nodeId(2);

/** Runs openssl in a folder of its own. */
function openssl(folder: string, ...args: readonly string[]): void {
  execFileSync('openssl', args, { cwd: folder, stdio: 'ignore' });
}

/** Makes an authority and certificates that it has signed. */
class Authority {
  readonly #folder: string = mkdtempSync(join(tmpdir(), 'tuplet-tls-'));

  constructor() {
    const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
    const made = ['-keyout', 'ca.key', '-out', 'ca.pem', '-days', '2', '-subj', '/CN=authority'];
    openssl(this.#folder, 'req', '-x509', ...key, ...made);
  }

  /** Credentials of a node whose certificate bears these names. */
  credentials(name: string, names: string, serverName?: string): MutualTls {
    writeFileSync(join(this.#folder, 'names'), `subjectAltName=${names}\n`);
    const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
    const asked = ['-keyout', 'key', '-out', 'request', '-subj', `/CN=${name}`];
    openssl(this.#folder, 'req', ...key, ...asked);
    const by = ['-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-days', '2'];
    openssl(
      this.#folder,
      'x509',
      '-req',
      '-in',
      'request',
      ...by,
      '-out',
      'pem',
      '-extfile',
      'names',
    );
    const read = (file: string): Buffer => readFileSync(join(this.#folder, file));
    return {
      kind: 'mutual-tls',
      authority: read('ca.pem'),
      certificate: read('pem'),
      key: read('key'),
      ...(serverName === undefined ? {} : { serverName }),
    };
  }

  remove(): void {
    rmSync(this.#folder, { recursive: true });
  }
}

/** An authority for a test, or a word why there is none. */
function authority(t: ExecutionContext): Authority | undefined {
  try {
    execFileSync('openssl', ['version'], { stdio: 'ignore' });
  } catch {
    t.log('skipped: there is no openssl here to make certificates with');
    t.pass();
    return undefined;
  }
  const made = new Authority();
  t.teardown(() => made.remove());
  return made;
}

async function closeAll(...nodes: readonly TestNode[]): Promise<void> {
  await Promise.all(nodes.map(({ links }) => links.close()));
}

/** Neither is connected, however long they try. */
async function stayApart(t: ExecutionContext, a: TestNode, b: TestNode): Promise<void> {
  a.know(b);
  b.know(a);
  await a.until(() => a.ticks > 5 && a.links.states[0]?.failure !== undefined);
  t.deepEqual([...a.events, ...b.events], []);
  await closeAll(a, b);
}

test('nodes whose certificates one authority has signed are linked', async (t) => {
  const by = authority(t);
  if (by === undefined) return;
  const [a, b] = await pair(
    { credentials: by.credentials('node-1', 'IP:127.0.0.1') },
    { credentials: by.credentials('node-2', 'IP:127.0.0.1') },
  );
  a.links.send(two, Lane.raft, new Uint8Array(100_000).fill(7));
  a.links.flush();
  b.links.send(one, Lane.coordination, Uint8Array.of(8));
  b.links.flush();
  await Promise.all([a.heard('frame 2'), b.heard('frame 1')]);
  t.is(b.frames[0]?.bytes.length, 100_000);
  await closeAll(a, b);
});

test('a name that all certificates bear may stand for their addresses', async (t) => {
  const by = authority(t);
  if (by === undefined) return;
  const [a, b] = await pair(
    { credentials: by.credentials('node-1', 'DNS:node.tuplet', 'node.tuplet') },
    { credentials: by.credentials('node-2', 'DNS:node.tuplet', 'node.tuplet') },
  );
  t.deepEqual(a.events, ['connected 2']);
  await closeAll(a, b);
});

test('a certificate of another authority, or of another name, is of no use', async (t) => {
  const by = authority(t);
  const other = authority(t);
  if (by === undefined || other === undefined) return;
  const good = by.credentials('node-1', 'IP:127.0.0.1');
  const stranger = other.credentials('node-2', 'IP:127.0.0.1');
  // It trusts the authority of those whom it wants to reach, and they do not trust its own.
  const intruder = { ...stranger, authority: good.authority };
  const elsewhere = by.credentials('node-2', 'IP:127.0.0.9');
  for (const credentials of [stranger, intruder, elsewhere]) {
    const a = await TestNode.open({ node: 1, credentials: good });
    const b = await TestNode.open({ node: 2, credentials });
    await stayApart(t, a, b);
  }
});

test('who shows no certificate is not let in', async (t) => {
  const by = authority(t);
  if (by === undefined) return;
  const credentials = by.credentials('node-1', 'IP:127.0.0.1');
  const a = await TestNode.open({ node: 1, credentials });
  const b = await TestNode.open({ node: 2 });
  a.know(b);
  for (const shown of [
    ChannelCredentials.createSsl(credentials.authority),
    ChannelCredentials.createInsecure(),
  ]) {
    const channel = new Channel(a.address, shown, {});
    const answer = await new Promise((resolve) => {
      const call = new OutgoingCall(channel, linkPath, {
        message: () => resolve('a welcome'),
        taken: () => {},
        ended: ({ code }) => resolve(code),
      });
      call.send(writeLinkHello({ cluster: 'c1', from: two, to: one, life: 1, lane: Lane.raft }));
    });
    t.is(answer, status.UNAVAILABLE);
    channel.close();
  }
  await stayApart(t, a, b);
});
