/** The workloads. Each runs for a time on connected clients and says what it saw. */
import { Latency } from './latency.ts';
import { openLoop } from './open-loop.ts';
import type { TargetClient } from './target.ts';

export interface Measured {
  readonly operations: number;
  readonly seconds: number;
  /** Closed loop and hand-off: from the call. Open loop: from the moment at which it was due. */
  readonly latency: Latency;
}

export interface Load {
  /** Connections; operations are dealt to them in turn. */
  readonly clients: readonly TargetClient[];
  readonly seconds: number;
  /** Closed loop: operations in flight. Open loop: operations a second, however long they take. */
  readonly pace: { readonly lanes: number } | { readonly perSecond: number };
}

/** One write after the other. */
export function write(load: Load): Promise<Measured> {
  return run(load, (client) => client.write());
}

/** Each writes one, then takes any one; a pair is one operation. */
export function pairs(load: Load): Promise<Measured> {
  return run(load, async (client) => {
    await client.write();
    await client.takeAny();
  });
}

const keys = 10_000;

/** Adds the tuples that `readKey` reads. */
export async function fillKeys(client: TargetClient): Promise<void> {
  for (let from = 0; from < keys; from += 500) {
    await Promise.all(Array.from({ length: 500 }, (_, i) => client.put(from + i)));
  }
}

/** Random keyed reads of 10,000 tuples. */
export function readKey(load: Load): Promise<Measured> {
  return run(load, (client) => client.readKey(Math.floor(Math.random() * keys)));
}

/** What a workload does again and again. */
export type Operation = (client: TargetClient) => Promise<void>;

/** Runs a workload at its pace. */
export function run({ clients, seconds, pace }: Load, operation: Operation): Promise<Measured> {
  let next = 0;
  const clientInTurn = (): TargetClient => {
    const client = clients[next % clients.length];
    next += 1;
    if (client === undefined) throw new Error('no client');
    return client;
  };
  return 'lanes' in pace
    ? closedLoop(seconds, pace.lanes, clientInTurn, operation)
    : openLoop({ seconds, perSecond: pace.perSecond }, () => operation(clientInTurn()));
}

/** N lanes; each begins one operation when its last one has ended. */
async function closedLoop(
  seconds: number,
  lanes: number,
  clientInTurn: () => TargetClient,
  operation: Operation,
): Promise<Measured> {
  const latency = new Latency();
  const began = performance.now();
  const end = began + seconds * 1000;
  let operations = 0;
  const lane = async (client: TargetClient): Promise<void> => {
    for (let now = performance.now(); now < end; ) {
      await operation(client);
      const after = performance.now();
      latency.record(after - now);
      operations++;
      now = after;
    }
  };
  await Promise.all(Array.from({ length: lanes }, () => lane(clientInTurn())));
  return { operations, seconds: (performance.now() - began) / 1000, latency };
}

/**
 * One blocked taker on a second connection; writes at a fixed rate, open loop (none waits for the one
 * before): from the call of write to the tuple in the taker's hand.
 */
export async function handOff(
  producer: TargetClient,
  taker: TargetClient,
  { perSecond, seconds }: { readonly perSecond: number; readonly seconds: number },
): Promise<Measured> {
  const latency = new Latency();
  const total = Math.floor(perSecond * seconds);
  const began = performance.now();
  const taking = (async () => {
    for (let i = 0; i < total; i++) {
      const sentAt = await taker.receive();
      latency.record(performance.now() - sentAt);
    }
  })();
  const sending: Promise<void>[] = [];
  for (let i = 0; i < total; i++) {
    const due = began + (i * 1000) / perSecond;
    const early = due - performance.now();
    if (early > 0) await new Promise((resolve) => setTimeout(resolve, early));
    sending.push(producer.send(performance.now()));
  }
  await Promise.all([taking, ...sending]);
  return { operations: total, seconds: (performance.now() - began) / 1000, latency };
}

/** So long after its call a take is blocked, wherever its server is. */
const blockMs = 3;

/** As `handOff`, one at a time: the next is written when this one's write and take have ended, and a taker is blocked again. */
export async function handOffInTurn(
  producer: TargetClient,
  taker: TargetClient,
  seconds: number,
): Promise<Measured> {
  const latency = new Latency();
  const began = performance.now();
  let operations = 0;
  while (performance.now() - began < seconds * 1000) {
    const taken = taker.receive();
    await new Promise((resolve) => setTimeout(resolve, blockMs));
    const sent = producer.send(performance.now());
    const sentAt = await taken;
    latency.record(performance.now() - sentAt);
    await sent;
    operations += 1;
  }
  return { operations, seconds: (performance.now() - began) / 1000, latency };
}
