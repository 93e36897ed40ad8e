import test from 'ava';
import fc from 'fast-check';
import { DeadlineHeap } from './deadline-heap.ts';

test('keys come out by deadline, equal deadlines by key', (t) => {
  const heap = new DeadlineHeap();
  heap.set(3, 50);
  heap.set(1, 70);
  heap.set(2, 50);
  t.is(heap.nextMs, 50);
  t.is(heap.takeDue(49), undefined);
  t.deepEqual([heap.takeDue(70), heap.takeDue(70), heap.takeDue(70)], [2, 3, 1]);
  t.is(heap.nextMs, Number.POSITIVE_INFINITY);
});

test('a key has one deadline: the last one set', (t) => {
  const heap = new DeadlineHeap();
  heap.set(1, 10);
  heap.set(1, 30);
  t.is(heap.size, 1);
  t.is(heap.takeDue(29), undefined);
  heap.set(1, 5);
  t.is(heap.takeDue(5), 1);
  heap.delete(1);
  t.is(heap.size, 0);
});

test('the heap does what a sorted map does', (t) => {
  const step = fc.oneof(
    fc.record({ kind: fc.constant('set' as const), key: fc.nat(20), ms: fc.nat(50) }),
    fc.record({ kind: fc.constant('delete' as const), key: fc.nat(20), ms: fc.nat(50) }),
    fc.record({ kind: fc.constant('take' as const), key: fc.nat(20), ms: fc.nat(50) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const heap = new DeadlineHeap();
      const model = new Map<number, number>();
      const earliest = () => [...model].sort(([keyA, a], [keyB, b]) => a - b || keyA - keyB).at(0);
      for (const { kind, key, ms } of steps) {
        if (kind === 'set') {
          heap.set(key, ms);
          model.set(key, ms);
        } else if (kind === 'delete') {
          heap.delete(key);
          model.delete(key);
        } else {
          const first = earliest();
          const expected = first !== undefined && first[1] <= ms ? first[0] : undefined;
          if (expected !== undefined) model.delete(expected);
          if (heap.takeDue(ms) !== expected) return false;
        }
        if (heap.size !== model.size) return false;
        if (heap.nextMs !== (earliest()?.[1] ?? Number.POSITIVE_INFINITY)) return false;
      }
      return true;
    }),
    { numRuns: 500 },
  );
  t.pass();
});
