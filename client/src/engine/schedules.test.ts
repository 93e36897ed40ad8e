/** Random schedules of calls and faults: nothing is lost, nothing handed out twice, nobody hangs. */
import { encodeTuple } from '@tuplet/proto';
import test, { type ExecutionContext } from 'ava';
import fc from 'fast-check';
import { asking, type TestOperation, writing } from '../../test/operations.ts';
import { makeWorld, type World } from '../../test/world.ts';

type Step =
  | { readonly kind: 'write' | 'break' | 'turn' }
  | { readonly kind: 'take'; readonly waitMs: number }
  | { readonly kind: 'cancel'; readonly which: number }
  | { readonly kind: 'lose'; readonly odd: boolean }
  | { readonly kind: 'keep' }
  | { readonly kind: 'advance'; readonly ms: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 3, arbitrary: fc.constant({ kind: 'write' } as const) },
  {
    weight: 6,
    arbitrary: fc.constantFrom(0, 500, 4_000).map((waitMs) => ({ kind: 'take', waitMs }) as const),
  },
  { weight: 3, arbitrary: fc.constant({ kind: 'turn' } as const) },
  { weight: 2, arbitrary: fc.constant({ kind: 'break' } as const) },
  {
    weight: 2,
    arbitrary: fc.nat({ max: 40 }).map((which) => ({ kind: 'cancel', which }) as const),
  },
  { weight: 1, arbitrary: fc.boolean().map((odd) => ({ kind: 'lose', odd }) as const) },
  { weight: 1, arbitrary: fc.constant({ kind: 'keep' } as const) },
  { weight: 3, arbitrary: fc.nat({ max: 1_500 }).map((ms) => ({ kind: 'advance', ms }) as const) },
);

interface Started {
  readonly writes: TestOperation[];
  readonly takes: TestOperation[];
}

function perform(world: World, started: Started, now: Step): void {
  const { clock, engine, server } = world;
  switch (now.kind) {
    case 'write': {
      const write = writing(['a', started.writes.length], 60_000);
      started.writes.push(write);
      engine.start(write);
      return;
    }
    case 'take': {
      const take = asking('take', 'a', { waitMs: now.waitMs, timeoutMs: 60_000 });
      started.takes.push(take);
      engine.start(take);
      return;
    }
    case 'turn':
      clock.settle();
      return;
    case 'break':
      if (server.connections.at(-1)?.isOpen) server.last.break();
      return;
    case 'cancel': {
      const take = started.takes.at(-1 - now.which);
      if (take !== undefined) engine.cancel(take);
      return;
    }
    case 'lose':
      server.loses = (call) => (call.callId % 2 === 1) === now.odd && call.name !== 'open_session';
      return;
    case 'keep':
      server.loses = () => false;
      return;
    case 'advance':
      clock.advance(now.ms);
  }
}

/** Ends the faults, and lets everything come to rest. */
function rest(world: World): void {
  world.clock.settle();
  world.server.loses = () => false;
  if (world.server.connections.at(-1)?.isOpen) world.server.last.break();
  world.clock.advance(70_000);
}

function judge(t: ExecutionContext, world: World, { writes, takes }: Started): void {
  const { server } = world;
  const found = takes.flatMap((take) => (take.told.kind === 'found' ? take.told.ids : []));
  t.is(new Set(found).size, found.length, 'no tuple is handed out twice');
  for (const operation of [...writes, ...takes]) t.not(operation.told.kind, 'waiting');
  t.deepEqual(server.received.toSorted(), found.toSorted(), 'what is received was handed out');
  const left = [...server.tuples.values()];
  t.true(
    left.every((tuple) => tuple.handedTo === undefined),
    'nothing stays handed',
  );
  const written = writes.filter((write) => write.told.kind === 'written').length;
  t.is(left.length + found.length, written, 'each write once, and none is lost');
  t.is(world.engine.underWay, 0);
}

test('K1–K4 under random breaks, losses and cancels nothing is lost and nothing comes twice', (t) => {
  let found = 0;
  let cancelled = 0;
  const property = fc.property(fc.array(step, { minLength: 10, maxLength: 120 }), (steps) => {
    const world = makeWorld();
    const started: Started = { writes: [], takes: [] };
    for (const each of steps) perform(world, started, each);
    rest(world);
    judge(t, world, started);
    for (const take of started.takes) {
      if (take.told.kind === 'found') found += 1;
      if (take.reason === 'CANCELLED') cancelled += 1;
    }
  });
  fc.assert(property, { numRuns: 400 });
  t.true(found > 500, `${found} found`);
  t.true(cancelled > 10, `${cancelled} cancelled`);
});

test('S4 a client that stands still for longer than its lease hands nothing out that others may have [4.9]', (t) => {
  const property = fc.property(
    fc.array(fc.nat({ max: 12_000 }), { minLength: 5, maxLength: 40 }),
    (pauses) => {
      const world = makeWorld();
      const owners = new Map<number, number[]>();
      const takes: TestOperation[] = [];
      for (const pauseMs of pauses) {
        const take = asking('take', 'a', { waitMs: 60_000 });
        take.onTold = () => {
          if (take.told.kind !== 'found') return;
          for (const id of take.told.ids) {
            const session = take.session?.id ?? 0;
            t.true(world.server.sessions.has(session), 'its session is alive');
            owners.set(id, [...(owners.get(id) ?? []), session]);
          }
        };
        takes.push(take);
        world.engine.start(take);
        world.clock.settle();
        world.server.put(encodeTuple(['a', pauseMs]));
        world.clock.block(pauseMs);
        world.server.endSessions();
        world.clock.settle();
      }
      world.clock.advance(70_000);
      t.true(takes.every(({ told }) => told.kind === 'found' || told.kind === 'nothing'));
      t.deepEqual(
        [...world.server.tuples.values()].filter(({ handedTo }) => handedTo !== undefined),
        [],
      );
      for (const sessions of owners.values()) {
        t.is(new Set(sessions).size, sessions.length, 'never twice within one session');
      }
    },
  );
  fc.assert(property, { numRuns: 200 });
});
