/** One client process: some workers over one SDK client, each with one operation at a time. */
import { setTimeout as pause } from 'node:timers/promises';
import { type Client, connect, TupletError } from '@tuplet/client';
import type { Recorder } from '../sim/check/recorder.ts';
import type { Asked } from '../sim/client.ts';
import { type Plan, simSpaces, usualWeights, Workload } from '../sim/workload.ts';
import { Prng } from '../src/base/prng.ts';
import { call, type Ended, endedBy } from './calls.ts';
import { HandOuts } from './hand-outs.ts';
import { fileDoors, Journal } from './journal.ts';
import type { ClientSettings, Order, Told } from './messages.ts';

/** Operations that one process has open at once. */
const workers = 10;
/** Milliseconds that a worker thinks, at most: bounds the load. */
const thinkMsMax = 60;
/** Milliseconds after which what waits for ever is aborted, at most. */
const patienceMsMax = 4_000;

/** Milliseconds between two messages on how far it is. */
const progressMs = 500;

const mixture = {
  spaceCount: simSpaces.length,
  waitPercent: 62,
  foreverPercent: 12,
  unpinnedPercent: 66,
  pairPercent: 20,
  leasePercent: 15,
  paddingBytes: 0,
  weights: usualWeights,
} as const;

class TortureClient {
  readonly #client: Client;
  readonly #settings: ClientSettings;
  readonly #journal: Journal;
  readonly #recorder: Recorder;
  readonly #handOuts: HandOuts;
  readonly #random: Prng;
  /** What can be aborted: operations that wait. */
  readonly #waiting = new Set<AbortController>();
  /** Open operations that end by themselves. */
  #ending = 0;
  #ok = 0;
  #draining = false;

  constructor(client: Client, settings: ClientSettings, journal: Journal) {
    this.#client = client;
    this.#settings = settings;
    this.#journal = journal;
    this.#recorder = journal.recorder;
    this.#random = new Prng(settings.seed, settings.name);
    this.#handOuts = new HandOuts((operation) =>
      this.#recorder.end(settings.name, 'lost', operation),
    );
  }

  /** The SDK says that these tuples may come back. */
  unconfirmed(tupleIds: readonly number[]): void {
    this.#handOuts.unconfirmed(tupleIds);
  }

  start(): void {
    for (let at = 0; at < workers; at++) {
      const random = this.#random.fork(`worker ${at}`);
      const workload = new Workload(`${this.#settings.name}.${at}`, random, mixture);
      this.#work(workload, random).catch(report);
    }
    setInterval(() => tell({ kind: 'progress', ok: this.#ok }), progressMs).unref();
    tell({ kind: 'ready' });
  }

  /** Begins nothing more; says when nothing is open but what waits for ever. */
  drain(): void {
    this.#draining = true;
    this.#tellDrained();
  }

  async finish(): Promise<void> {
    this.#draining = true;
    for (const controller of this.#waiting) controller.abort();
    await this.#client.close();
  }

  async #work(workload: Workload, random: Prng): Promise<void> {
    while (!this.#draining) {
      const plan = workload.next();
      const { outcome, result } = await this.#run(plan, random);
      workload.saw(plan.asked, outcome, result);
      await pause(random.below(thinkMsMax));
    }
  }

  /** Writes the invocation, calls, writes the answer: before the SDK's next turn sends the receipt. */
  #run(plan: Plan, random: Prng): Promise<Ended> {
    const { operation, asked, timeoutMs } = plan;
    const controller = new AbortController();
    const forEver = asked.waitMs === null;
    const patience = forEver ? this.#abortLater(controller, random) : undefined;
    if (!forEver) this.#ending += 1;
    const id = this.#recorder.invoke(this.#settings.name, operation, asked);
    const space = this.#client.space(asked.space ?? '');
    const end = (ended: Ended): Ended => {
      const handed = isTake(operation) ? (ended.result.found ?? []) : [];
      const session = handed.length > 0 ? id : undefined;
      this.#recorder.complete(id, ended.outcome, ended.result, session);
      this.#handOuts.handed(
        id,
        handed.map((tuple) => tuple.id),
      );
      clearTimeout(patience);
      this.#waiting.delete(controller);
      if (!forEver) this.#ending -= 1;
      if (ended.outcome === 'ok') this.#ok += 1;
      if (this.#draining) this.#tellDrained();
      return ended;
    };
    return call(space, operation, asked, { timeoutMs, signal: controller.signal }).then(
      (answer) => end(this.#isHandedTooLate(operation, answer) ? handedTooLate : answer),
      (cause: unknown) => {
        const error = TupletError.from(cause);
        if (unexpected.has(error.reason)) report(error);
        return end(endedBy(error));
      },
    );
  }

  /**
   * The process was stopped for its lease or longer between the SDK's look at the lease and the
   * application. No program can rule that out; the receipt does not leave any more (S4), so the tuple
   * comes back.
   */
  #isHandedTooLate(operation: Asked, { outcome }: Ended): boolean {
    if (!isTake(operation) || outcome !== 'ok') return false;
    return this.#journal.heldUpMs >= this.#settings.sessionLeaseMs;
  }

  #abortLater(controller: AbortController, random: Prng): NodeJS.Timeout {
    this.#waiting.add(controller);
    const abort = (): void => {
      if (!this.#draining) controller.abort();
    };
    return setTimeout(abort, random.between(100, patienceMsMax));
  }

  #tellDrained(): void {
    if (this.#ending === 0) tell({ kind: 'drained' });
  }
}

function isTake(operation: Asked): boolean {
  return operation === 'take' || operation === 'take-many';
}

const handedTooLate: Ended = { outcome: 'unknown', result: { reason: 'STOPPED' } };

/** Reasons that no fault of this test explains. */
const unexpected = new Set(['INTERNAL', 'ANSWER_UNREADABLE', 'UNKNOWN', 'DATA_LOSS']);

function tell(message: Told): void {
  process.send?.(message);
}

function report(error: unknown): void {
  const message = error instanceof Error ? (error.stack ?? error.message) : String(error);
  tell({ kind: 'failed', message });
}

/** Runs a client until it is told to end. */
export async function runClient(settings: ClientSettings): Promise<void> {
  const journal = new Journal(fileDoors(settings.path), settings.name, settings.ordinal);
  journal.startTicking();
  let torture: TortureClient | undefined;
  const { sessionLeaseMs, name } = settings;
  const onUnconfirmed = (tupleIds: readonly number[]): void => torture?.unconfirmed(tupleIds);
  const options = { sessionLeaseMs, name, connectTimeoutMs: 60_000, onUnconfirmed };
  const client = await connect(settings.url, options);
  const working = new TortureClient(client, settings, journal);
  torture = working;
  process.on('message', (order: Order) => {
    if (order === 'drain') working.drain();
    else working.finish().then(() => process.exit(0), report);
  });
  working.start();
}
