import test from 'ava';
import fc from 'fast-check';
import { DiskError } from '../base/doors.ts';
import { MemoryDisk } from './memory-disk.ts';

test('a file reads back what was written, with zeros between, and no more than it has', async (t) => {
  const write = fc.record({
    offset: fc.nat(200_000),
    bytes: fc.uint8Array({ maxLength: 70_000 }),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(write, { maxLength: 5 }), fc.nat(250_000), async (writes, cut) => {
      const file = await new MemoryDisk().create('log');
      let model = Buffer.alloc(0);
      const resize = (size: number): void => {
        const larger = Buffer.alloc(size);
        model.copy(larger);
        model = larger;
      };
      for (const { offset, bytes } of writes) {
        await file.write(offset, bytes);
        if (offset + bytes.length > model.length) resize(offset + bytes.length);
        model.set(bytes, offset);
      }
      await file.truncate(cut);
      resize(cut);
      await file.write(cut + 10, new Uint8Array([7]));
      resize(cut + 11);
      model[cut + 10] = 7;
      t.is(await file.size(), model.length);
      t.true(model.equals(await file.read(0, model.length + 100)));
      t.true(model.subarray(5, 70_000).equals(await file.read(5, 69_995)));
    }),
    { numRuns: 60 },
  );
});

test('names are made, moved, listed and removed', async (t) => {
  const disk = new MemoryDisk();
  const isKind = (kind: string) => (error: unknown) =>
    error instanceof DiskError && error.kind === kind;
  await t.throwsAsync(disk.open('log'), { instanceOf: DiskError });
  await disk.create('b');
  await disk.create('a');
  await disk.create('snapshots/1');
  t.deepEqual(await disk.list(''), ['a', 'b']);
  t.deepEqual(await disk.list('snapshots'), ['1']);
  await disk.rename('b', 'c');
  await disk.remove('a');
  t.deepEqual(await disk.list(''), ['c']);
  const again = await t.throwsAsync(disk.create('c'));
  t.true(isKind('denied')(again));
});

test('one node at a time has the disk', async (t) => {
  const disk = new MemoryDisk();
  const unlock = await disk.lock();
  await t.throwsAsync(disk.lock(), { instanceOf: DiskError });
  unlock();
  await t.notThrowsAsync(disk.lock());
});
