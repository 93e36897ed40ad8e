/** One gateway of a simulated node: a router, and the Exchange and Notify handlers before it. */
import type { Cancel } from '../src/base/doors.ts';
import { apartLookMs, drainMs } from '../src/base/limits.ts';
import type { ClusterView } from '../src/cluster/cluster-view.ts';
import { Exchange, type ExchangeStream } from '../src/gateway/exchange.ts';
import { InFlight } from '../src/gateway/in-flight.ts';
import { notifyHandler } from '../src/gateway/notify-handler.ts';
import { TopologyFeed } from '../src/gateway/topology.ts';
import type { Histories } from '../src/router/histories.ts';
import { type Partitions, Router } from '../src/router/router.ts';
import type { SimNetwork } from './network.ts';
import type { SimProcess } from './scheduler.ts';
import { SimNotifyStream, SimStream } from './stream.ts';

/** Calls of one stream, and bytes of its replies, as `base/limits.ts` bounds them; smaller here. */
const exchangeLimits = {
  callsPerStreamMax: 4096,
  replyBytesPause: 2 ** 18,
  replyBytesMax: 2 ** 22,
  replyMessageBytes: 2 ** 16,
} as const;

/** Milliseconds between two looks whether all streams have ended. */
const lookMs = 20;

/** What a gateway is made of. */
export interface GatewayOptions {
  readonly address: string;
  /** This life of its router; never used again. */
  readonly id: number;
  readonly process: SimProcess;
  readonly network: SimNetwork;
  readonly partitions: Partitions;
  /** What clients are told of the cluster. */
  readonly view: ClusterView;
  /** What is read for those who follow a space. */
  readonly histories: Histories;
  /** Whether the node can reach no majority: callers that wait are sent away. */
  readonly isApart?: () => boolean;
  /** A promise of the code was broken. */
  readonly onBug: (error: unknown) => void;
}

/** See the top of the file. */
export class SimGateway {
  readonly #process: SimProcess;
  readonly #network: SimNetwork;
  readonly #router: Router;
  readonly #exchanges = new Set<Exchange>();
  readonly #streams = new Set<SimStream>();
  readonly #unlisten: readonly Cancel[];

  constructor(options: GatewayOptions) {
    const { address, id, process, network, partitions, histories, view, onBug } = options;
    const { clock } = process;
    this.#process = process;
    this.#network = network;
    const router = new Router({ id, partitions, clock });
    this.#router = router;
    const inFlight = new InFlight(8192);
    const topology = new TopologyFeed(view, clock);
    const streams = this.#exchanges;
    const exchanges = network.netOf(process).listen(address, (link, from) => {
      const stream = new SimStream(link, from, (run) => clock.soon(run));
      this.#keep(stream);
      const exchange = new Exchange(stream as unknown as ExchangeStream, {
        router,
        inFlight,
        topology,
        streams,
        soon: (run) => clock.soon(run),
        failed: onBug,
        limits: exchangeLimits,
      });
      exchange.start();
      return stream.events;
    });
    const notify = notifyHandler({
      spaces: router.spaces,
      histories,
      inFlight,
      clock,
      failed: onBug,
    });
    const notifies = network.netOf(process).listen(`${address}/notify`, (link, from) => {
      const soon = (run: () => void): void => clock.soon(run);
      const stream: SimNotifyStream = new SimNotifyStream(link, from, soon, () => {
        notify(stream as unknown as Parameters<typeof notify>[0]);
      });
      this.#keep(stream);
      return stream.events;
    });
    this.#unlisten = [exchanges, notifies];
    if (options.isApart !== undefined) this.#watch(options.isApart);
  }

  /** No more calls: those on their way are answered, or cut off when `drainMs` are over. */
  async drain(): Promise<void> {
    const { clock } = this.#process;
    for (const cancel of this.#unlisten) cancel();
    this.#router.drain();
    for (const exchange of [...this.#exchanges]) exchange.leave();
    const untilMs = clock.monotonicMs() + drainMs;
    while (this.#streams.size > 0 && clock.monotonicMs() < untilMs)
      await new Promise<void>((resolve) => clock.after(lookMs, resolve));
    for (const stream of [...this.#streams]) stream.cut();
    await this.#router.settled();
    this.#router.close();
  }

  /** It ends, with everything its router knew. */
  kill(): void {
    this.#process.kill();
    this.#network.processGone(this.#process);
    this.#router.close();
  }

  #keep(stream: SimStream): void {
    this.#streams.add(stream);
    stream.on('close', () => this.#streams.delete(stream));
  }

  #watch(isApart: () => boolean): void {
    this.#process.clock.after(apartLookMs, () => {
      if (isApart()) for (const exchange of [...this.#exchanges]) exchange.sendAway();
      this.#watch(isApart);
    });
  }

  pause(forMs: number): void {
    this.#process.pause(forMs);
  }
}
