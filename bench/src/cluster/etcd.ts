import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Etcd3, type Watcher } from 'etcd3';
import { filler, type Target, type TargetClient } from '../target.ts';
import { Inbox } from './inbox.ts';
import { eventually, freePorts, isInstalled, Processes, settings } from './processes.ts';

const body = `${filler}${'y'.repeat(100 - filler.length)}`;
/** A taker chooses one of so many at random, so that lanes seldom want the same. */
const candidates = 64;
const jobs = 'job/';
const stamps = 'hand-off/';

/** Starts members of a cluster in a folder; undefined where it is not installed. */
export async function startEtcd(folder: string, count: number): Promise<Target | undefined> {
  if (!isInstalled('etcd')) return undefined;
  const ports = await freePorts(2 * count);
  const clientPorts = ports.slice(0, count);
  const peerPorts = ports.slice(count);
  const members = peerPorts.map((port, at) => `${name(at)}=http://127.0.0.1:${port}`).join(',');
  const processes = new Processes(
    clientPorts.map((port, at) => {
      const config = join(folder, `${name(at)}.yaml`);
      const own = join(folder, name(at));
      mkdirSync(own, { mode: 0o700 });
      const peerPort = peerPorts[at] ?? 0;
      const values = { name: name(at), port, peerPort, folder: own, members };
      writeFileSync(config, settings('etcd.yaml', values));
      return { path: 'etcd', args: ['--config-file', config] };
    }),
  );
  const hosts = clientPorts.map((port) => `http://127.0.0.1:${port}`);
  const admin = new Etcd3({ hosts });
  try {
    await eventually(async () => void (await admin.put('here').value('yes').exec()));
  } catch (error) {
    admin.close();
    await processes.close();
    throw error;
  }
  return {
    name: 'etcd',
    connect: async () => new EtcdClient(new Etcd3({ hosts })),
    clear: async () => void (await admin.delete().all().exec()),
    serverCpuUs: () => processes.cpuUs(),
    close: async () => {
      admin.close();
      await processes.close();
    },
  };
}

function name(at: number): string {
  return `etcd-${at + 1}`;
}

/** A queue of keys: one is taken by the transaction that removes it while it is there. */
class EtcdClient implements TargetClient {
  readonly #etcd: Etcd3;
  readonly #own = `${process.pid}-${performance.now()}`;
  #written = 0;
  #sent: { readonly watcher: Watcher; readonly inbox: Inbox<Pushed> } | undefined;

  constructor(etcd: Etcd3) {
    this.#etcd = etcd;
  }

  async write(): Promise<void> {
    await this.#etcd.put(this.#newKey(jobs)).value(body).exec();
  }

  async takeAny(): Promise<void> {
    for (;;) {
      const found = await this.#etcd.getAll().prefix(jobs).limit(candidates).exec();
      const chosen = found.kvs[Math.floor(Math.random() * found.kvs.length)];
      if (chosen !== undefined && (await this.#remove(chosen.key))) return;
    }
  }

  async send(stamp: number): Promise<void> {
    await this.#etcd.put(this.#newKey(stamps)).value(`${filler}${stamp}`).exec();
  }

  async receive(): Promise<number> {
    this.#sent ??= await this.#watch();
    for (;;) {
      const { key, value } = await this.#sent.inbox.next();
      if (await this.#remove(key)) return Number(value.subarray(filler.length).toString());
    }
  }

  async put(key: number): Promise<void> {
    await this.#etcd.put(`key/${key}`).value(body).exec();
  }

  async readKey(key: number): Promise<void> {
    if ((await this.#etcd.get(`key/${key}`).buffer()) === null) throw new Error('the key is gone');
  }

  async close(): Promise<void> {
    await this.#sent?.watcher.cancel();
    this.#etcd.close();
  }

  #newKey(prefix: string): string {
    this.#written += 1;
    return `${prefix}${String(this.#written).padStart(9, '0')}-${this.#own}`;
  }

  async #remove(key: Buffer): Promise<boolean> {
    const { succeeded } = await this.#etcd
      .if(key, 'Version', '>', 0)
      .then(this.#etcd.delete().key(key))
      .commit();
    return succeeded;
  }

  async #watch(): Promise<{ readonly watcher: Watcher; readonly inbox: Inbox<Pushed> }> {
    const inbox = new Inbox<Pushed>();
    const watcher = await this.#etcd.watch().prefix(stamps).create();
    watcher.on('put', (pushed) => inbox.push(pushed));
    return { watcher, inbox };
  }
}

interface Pushed {
  readonly key: Buffer;
  readonly value: Buffer;
}
