import * as contract from '@tuplet/proto/contract';
import test from 'ava';
import { BareClient } from '../test/gateway/client.ts';
import { template, tuple } from '../test/router/bench.ts';
import type { Disk, DiskFile } from './base/doors.ts';
import { MemoryDisk } from './host/memory-disk.ts';
import { startNode } from './node.ts';

const { methods } = contract.TupleSpaceService;
const space = { name: 'default' };

/** A disk that, from one moment on, never comes back from a sync. */
class HangingDisk extends MemoryDisk {
  hangs = false;
  /** Resolves when the first sync hangs. */
  readonly hung: Promise<void>;
  #hang: () => void = () => undefined;

  constructor() {
    super();
    this.hung = new Promise((resolve) => {
      this.#hang = resolve;
    });
  }

  override async open(name: string): Promise<DiskFile> {
    return this.#watched(await super.open(name));
  }

  override async create(name: string): Promise<DiskFile> {
    return this.#watched(await super.create(name));
  }

  #watched(file: DiskFile): DiskFile {
    const sync = (): Promise<void> => {
      if (!this.hangs) return file.sync();
      this.#hang();
      return new Promise(() => undefined);
    };
    return {
      write: (offset, bytes) => file.write(offset, bytes),
      read: (offset, size) => file.read(offset, size),
      sync,
      size: () => file.size(),
      truncate: (size) => file.truncate(size),
      close: () => file.close(),
    };
  }
}

test('a node whose disk hangs gives it a bounded time to close, and says so', async (t) => {
  const disk: Disk & HangingDisk = new HangingDisk();
  const node = await startNode({ disk, listen: '127.0.0.1:0', partitions: 1, closeMs: 50 });
  const client = new BareClient(node.address);
  await client.call(methods.write, { space, tuple: tuple('job', 1) });
  disk.hangs = true;
  const writing = client.begin(methods.write, { space, tuple: tuple('job', 2) });
  await disk.hung;
  writing.cancel();
  client.close();
  await t.throwsAsync(node.close(), { message: 'the disk has not answered for 50 ms' });
  await t.throwsAsync(node.close(), { message: /not answered/ }, 'the same for who asks again');
});

async function hasWaiters(client: BareClient): Promise<boolean> {
  const { partitions } = await client.call(contract.AdminService.methods.describeNode, {});
  return partitions.some(({ waiters }) => waiters > 0);
}

test('a node closes within its time where the disk answers, and waiting calls end', async (t) => {
  const node = await startNode({ disk: new MemoryDisk(), listen: '127.0.0.1:0', partitions: 1 });
  const client = new BareClient(node.address);
  const taking = client.begin(methods.take, { space, template: template('job', 1) });
  while (!(await hasWaiters(client))) {
    // Each question is a turn of the node: it parks the take once its own session is open.
  }
  await node.close();
  t.is((await taking.answer).outcome, contract.Outcome.CANCELLED);
  client.close();
});
