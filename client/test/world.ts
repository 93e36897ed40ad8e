import { encodeTuple, type Value } from '@tuplet/proto';
import { Engine, type EngineOptions } from '../src/engine/index.ts';
import { FakeServer } from './fake-server.ts';
import type { TestOperation } from './operations.ts';
import { VirtualClock } from './virtual-clock.ts';

/** An engine and its server on a clock that the test moves. */
export interface World {
  readonly clock: VirtualClock;
  readonly server: FakeServer;
  readonly engine: Engine;
  /** Starts an operation and ends the turns that follow from it. */
  run(operation: TestOperation): TestOperation;
  /** Puts a tuple into the space, from nowhere. */
  put(...fields: Value[]): number;
}

export function makeWorld(options: EngineOptions = {}, seed = 1): World {
  const clock = new VirtualClock();
  const server = new FakeServer(clock);
  let state = seed >>> 0;
  const random = {
    uint32: () => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
      return state;
    },
  };
  const engine = new Engine({ clock, random, connect: server.connect }, options);
  return {
    clock,
    server,
    engine,
    run(operation) {
      engine.start(operation);
      clock.settle();
      return operation;
    },
    put(...fields) {
      const id = server.put(encodeTuple(fields));
      clock.settle();
      return id;
    },
  };
}
