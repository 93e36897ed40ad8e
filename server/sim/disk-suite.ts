/** What every Disk does, simulated or real: the same tests for both. */
import type { TestFn } from 'ava';
import type { Disk } from '../src/base/doors.ts';
import { isDiskError } from './disk-world.ts';

/** An empty disk, and how to wait for what it promises. */
export interface DiskUnderTest {
  readonly disk: Disk;
  until<T>(promise: Promise<T>): Promise<T>;
}

const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
const bytesOf = (words: string): Uint8Array => new TextEncoder().encode(words);

/** Declares the tests. */
export function testDisk(test: TestFn, make: () => Promise<DiskUnderTest>): void {
  testBytes(test, make);
  testNames(test, make);
}

function testBytes(test: TestFn, make: () => Promise<DiskUnderTest>): void {
  test('bytes are read back from where they were written', async (t) => {
    const { disk, until } = await make();
    const file = await until(disk.create('a'));
    await until(file.write(0, bytesOf('hello world')));
    await until(file.write(6, bytesOf('there')));
    await until(file.sync());
    t.is(text(await until(file.read(0, 100))), 'hello there');
    t.is(text(await until(file.read(6, 3))), 'the');
    t.is(await until(file.size()), 11);
    t.is((await until(file.read(11, 5))).length, 0);
    t.is((await until(file.read(50, 5))).length, 0);
    await until(file.close());
    const again = await until(disk.open('a'));
    t.is(text(await until(again.read(0, 5))), 'hello');
    await until(again.close());
  });

  test('what lies between two writes is zeros', async (t) => {
    const { disk, until } = await make();
    const file = await until(disk.create('a'));
    await until(file.write(5000, bytesOf('x')));
    const bytes = await until(file.read(0, 6000));
    t.is(bytes.length, 5001);
    t.true(bytes.subarray(0, 5000).every((byte) => byte === 0));
    await until(file.close());
  });

  test('a file is cut, and grows with zeros', async (t) => {
    const { disk, until } = await make();
    const file = await until(disk.create('a'));
    await until(file.write(0, bytesOf('hello')));
    await until(file.truncate(2));
    t.is(text(await until(file.read(0, 10))), 'he');
    await until(file.truncate(4));
    t.deepEqual([...(await until(file.read(0, 10)))], [104, 101, 0, 0]);
    await until(file.close());
  });
}

function testNames(test: TestFn, make: () => Promise<DiskUnderTest>): void {
  test('a missing file is missing, an existing one is not made again', async (t) => {
    const { disk, until } = await make();
    const calls: Promise<unknown>[] = [
      disk.open('a'),
      disk.remove('a'),
      disk.rename('a', 'b'),
      disk.create('x/a'),
    ];
    for (const call of calls) {
      const error = await t.throwsAsync(until(call));
      t.true(isDiskError(error, 'missing'), String(error));
    }
    await until((await until(disk.create('a'))).close());
    const error = await t.throwsAsync(until(disk.create('a')));
    t.true(isDiskError(error, 'denied'));
  });

  test('names are listed by folder and sorted; a renamed file takes the place of another', async (t) => {
    const { disk, until } = await make();
    t.deepEqual(await until(disk.list('log')), []);
    await until(disk.makeFolder('log'));
    await until(disk.makeFolder('log'));
    for (const name of ['log/b', 'log/a', 'c']) {
      const file = await until(disk.create(name));
      await until(file.write(0, bytesOf(name)));
      await until(file.close());
    }
    t.deepEqual(await until(disk.list('log')), ['a', 'b']);
    t.deepEqual(await until(disk.list('')), ['c']);
    await until(disk.rename('log/a', 'log/b'));
    await until(disk.syncFolder('log'));
    await until(disk.syncFolder(''));
    t.deepEqual(await until(disk.list('log')), ['b']);
    const file = await until(disk.open('log/b'));
    t.is(text(await until(file.read(0, 10))), 'log/a');
    await until(file.close());
    await until(disk.remove('log/b'));
    t.deepEqual(await until(disk.list('log')), []);
  });

  test('a folder is one process’s at a time', async (t) => {
    const { disk, until } = await make();
    const release = await until(disk.lock());
    const error = await t.throwsAsync(until(disk.lock()));
    t.true(isDiskError(error, 'denied'));
    release();
    release();
    (await until(disk.lock()))();
  });
}
