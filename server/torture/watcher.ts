/** A process that is notified, and goes on where a killed one stopped. */
import { appendFileSync } from 'node:fs';
import {
  type Client,
  connect,
  type NotifyPosition,
  type Subscription,
  type TupleEvent,
} from '@tuplet/client';
import type { EventJson, Line } from '../sim/check/history.ts';
import { eventJson, kindOf, templateOf } from './convert.ts';
import { nowNs } from './journal.ts';
import { readStream, type StreamEntry } from './merge.ts';
import type { Order, StreamSettings, Told, WatcherSettings } from './messages.ts';

/**
 * One notification. Events and the position after them are written as one entry, so that a kill leaves
 * both or neither: the next process goes on exactly after what the last one saw.
 */
class Stream {
  readonly #settings: StreamSettings;
  readonly #subscription: Subscription<unknown[]>;
  /** No process before had a cursor. */
  readonly #isFirst: boolean;
  #begun: EventJson[] = [];

  constructor(client: Client, settings: StreamSettings) {
    this.#settings = settings;
    const before = readStream(settings.path);
    if (before.length === 0) this.#write([this.#invocation()], null);
    else appendFileSync(settings.path, '\n');
    const position = before.at(-1)?.position ?? null;
    this.#isFirst = position === null;
    const from: NotifyPosition | undefined =
      position === null
        ? undefined
        : { cursor: Buffer.from(position.cursor, 'base64'), seen: position.seen };
    const { space, template, kinds } = settings;
    const options = { kinds: kinds.map(kindOf), ...(from === undefined ? {} : { from }) };
    this.#subscription =
      template === null
        ? client.space(space).notify(undefined, options)
        : (client.space(space).notify(templateOf(template), options) as Subscription<unknown[]>);
  }

  /** Resolves when nothing from here on is missed. */
  async begin(): Promise<void> {
    await this.#subscription.ready;
    const { id, process } = this.#settings;
    const cursor: Line = { kind: 'cursor', id, process, time: nowNs() };
    const position = this.#subscription.position;
    if (position === undefined) throw new TypeError('a notification that is ready has a cursor');
    // The first event after the cursor may be on its way to `run` already: it is not written yet.
    this.#write(this.#isFirst ? [cursor] : [], { cursor: position.cursor, seen: [] });
  }

  /** Until it is ended. */
  async run(): Promise<void> {
    for await (const event of this.#subscription) this.#take(event);
  }

  async end(): Promise<void> {
    await this.#subscription.return();
  }

  #take(event: TupleEvent<unknown[]>): void {
    const position = this.#subscription.position ?? null;
    const { partition, revision, position: at } = event.place;
    // The place is noted with the last event of a revision: no position lies inside one.
    const last =
      position?.seen.some(
        (place) =>
          place.partition === partition && place.revision === revision && place.position === at,
      ) ?? false;
    this.#begun.push(eventJson(event, this.#settings.space, last));
    if (!last) return;
    const { id, process, observer } = this.#settings;
    const time = nowNs();
    const lines = this.#begun.map((each): Line => {
      // A filtered stream marks the last event that it sends, not the last of the revision.
      const { last: _, ...told } = each;
      const event = (observer ? each : told) as EventJson;
      return { kind: 'event', id, process, time, event };
    });
    this.#begun = [];
    this.#write(lines, position);
  }

  #invocation(): Line {
    const { id, process, space, template, kinds, observer } = this.#settings;
    const asked = { space, template, kinds, observer };
    return { kind: 'invoke', id, process, operation: 'notify', arguments: asked, time: nowNs() };
  }

  #write(lines: readonly Line[], position: NotifyPosition | null): void {
    const cursor = position === null ? '' : Buffer.from(position.cursor).toString('base64');
    const entry: StreamEntry = {
      lines,
      position: position === null ? null : { cursor, seen: position.seen },
    };
    appendFileSync(this.#settings.path, `${JSON.stringify(entry)}\n`);
  }
}

function tell(message: Told): void {
  process.send?.(message);
}

function report(error: unknown): void {
  const message = error instanceof Error ? (error.stack ?? error.message) : String(error);
  tell({ kind: 'failed', message: `a notification ended: ${message}` });
}

/** Runs a watcher until it is told to end. */
export async function runWatcher(settings: WatcherSettings): Promise<void> {
  const options = { connectTimeoutMs: 60_000 };
  const client = await connect(settings.url, options);
  const streams = settings.streams.map((each) => new Stream(client, each));
  const finish = async (): Promise<void> => {
    await Promise.all(streams.map((stream) => stream.end()));
    await client.close();
  };
  process.on('message', (order: Order) => {
    if (order === 'finish') finish().then(() => process.exit(0), report);
    else tell({ kind: 'drained' });
  });
  await Promise.all(streams.map((stream) => stream.begin()));
  for (const stream of streams) stream.run().catch(report);
  tell({ kind: 'ready' });
}
