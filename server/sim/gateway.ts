/** One gateway of a simulated node: a router, and the Exchange and Notify handlers before it. */
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
  /** A promise of the code was broken. */
  readonly onBug: (error: unknown) => void;
}

/** See the top of the file. */
export class SimGateway {
  readonly #process: SimProcess;
  readonly #network: SimNetwork;
  readonly #router: Router;

  constructor(options: GatewayOptions) {
    const { address, id, process, network, partitions, histories, view, onBug } = options;
    const { clock } = process;
    this.#process = process;
    this.#network = network;
    const router = new Router({ id, partitions, clock });
    this.#router = router;
    const inFlight = new InFlight(8192);
    const topology = new TopologyFeed(view, clock);
    const streams = new Set<Exchange>();
    network.netOf(process).listen(address, (link, from) => {
      const stream = new SimStream(link, from, (run) => clock.soon(run));
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
    network.netOf(process).listen(`${address}/notify`, (link, from) => {
      const soon = (run: () => void): void => clock.soon(run);
      const stream: SimNotifyStream = new SimNotifyStream(link, from, soon, () => {
        notify(stream as unknown as Parameters<typeof notify>[0]);
      });
      return stream.events;
    });
  }

  /** It ends, with everything its router knew. */
  kill(): void {
    this.#process.kill();
    this.#network.processGone(this.#process);
    this.#router.close();
  }

  pause(forMs: number): void {
    this.#process.pause(forMs);
  }
}
