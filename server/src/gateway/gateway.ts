import { createServer, type Server as NetServer, type Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import { Server, ServerCredentials } from '@grpc/grpc-js';
import { loadSync, type PackageDefinition } from '@grpc/proto-loader';
import { ReflectionService } from '@grpc/reflection';
import { limits } from '@tuplet/proto';
import { HealthImplementation } from 'grpc-health-check';
import type { Cancel, Clock } from '../base/doors.ts';
import {
  apartLookMs,
  callsPerConnectionMax,
  connectionsMax,
  deadlineMarginMs,
  keepaliveMs,
  keepaliveTimeoutMs,
  messageBytesMargin,
  replyBytesMax,
  replyBytesPause,
  replyMessageBytes,
  streamsPerConnectionMax,
} from '../base/limits.ts';
import type { ClusterView } from '../cluster/cluster-view.ts';
import type { Histories } from '../router/histories.ts';
import type { Router } from '../router/router.ts';
import { addressOf } from './address.ts';
import type { AdminPorts } from './admin.ts';
import type { Exchange, ExchangeLimits } from './exchange.ts';
import { InFlight } from './in-flight.ts';
import type { ReadGroupPorts } from './read-group.ts';
import { addServices, interceptors } from './service.ts';
import { TopologyFeed } from './topology.ts';

/** Bounds that tests make smaller; `base/limits.ts` has the real ones. */
export interface GatewayLimits extends ExchangeLimits {
  readonly callsPerConnectionMax: number;
  readonly connectionsMax: number;
}

/** What a gateway is made with. */
export interface GatewayOptions {
  readonly router: Router;
  readonly histories: Histories;
  readonly admin: Omit<AdminPorts, 'failed' | 'spaces'>;
  /** Hands out the state of groups that are led here. */
  readonly stateOf: ReadGroupPorts['stateOf'];
  /** What clients that ask for it are told of the cluster. */
  readonly view: ClusterView;
  readonly clock: Clock;
  /** Whether this node hears of no majority of the cluster's; undefined: it is alone. */
  readonly isApart?: () => boolean;
  /** `host:port`; port 0: any free one. */
  readonly listen: string;
  /** A mistake of ours, to be logged. */
  readonly failed: (error: unknown) => void;
  readonly limits?: Partial<GatewayLimits>;
}

const services = [
  'tuplet.v1.TupleSpaceService',
  'tuplet.v1.SessionService',
  'tuplet.v1.AdminService',
];

/** gRPC's side of a node: connections, limits, health, reflection, and the contract's services. */
export class Gateway {
  readonly #server: Server;
  readonly #listener: NetServer;
  readonly #sockets: Set<Socket> = new Set();
  readonly #health: HealthImplementation;
  readonly #streams = new Set<Exchange>();
  #address = '';
  #unwatch: Cancel | undefined;

  private constructor(options: GatewayOptions) {
    const bounds: GatewayLimits = { ...defaultLimits, ...options.limits };
    const { router, failed, view, clock } = options;
    const topology = new TopologyFeed(view, clock);
    const inFlight = new InFlight(bounds.callsPerConnectionMax);
    const streams = this.#streams;
    const shared = { router, inFlight, topology, streams };
    const exchange = { ...shared, failed, limits: bounds, soon: afterTurn };
    this.#server = new Server({
      interceptors: interceptors(exchange),
      // Counters that nobody reads.
      'grpc.enable_channelz': 0,
      'grpc.max_receive_message_length': limits.messageBytesMax + messageBytesMargin,
      'grpc.max_send_message_length': limits.messageBytesMax + messageBytesMargin,
      'grpc.max_concurrent_streams': streamsPerConnectionMax,
      'grpc.keepalive_time_ms': keepaliveMs,
      'grpc.keepalive_timeout_ms': keepaliveTimeoutMs,
    });
    this.#addAll(options, inFlight);
    this.#health = new HealthImplementation({ '': 'SERVING', ...statusOfAll('SERVING') });
    this.#health.addToServer(this.#server);
    new ReflectionService(loadContract()).addToServer(this.#server);
    const injector = this.#server.createConnectionInjector(ServerCredentials.createInsecure());
    this.#listener = createServer({ noDelay: true }, (socket) => {
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
      injector.injectConnection(socket);
    });
    // Beyond it connections are closed at once, before anything is read from them.
    this.#listener.maxConnections = bounds.connectionsMax;
  }

  /** Begins to listen. Rejects where the address cannot be had. */
  static async open(options: GatewayOptions): Promise<Gateway> {
    const gateway = new Gateway(options);
    await gateway.#listen(options.listen);
    const { isApart, clock } = options;
    if (isApart !== undefined) gateway.#watch(isApart, clock);
    return gateway;
  }

  /** Where it listens: `host:port`. */
  get address(): string {
    return this.#address;
  }

  /** Connections open now. */
  get connections(): number {
    return this.#sockets.size;
  }

  /** Tells health checks that the node is leaving, and takes no more connections. */
  leave(): void {
    for (const service of ['', ...services]) this.#health.setStatus(service, 'NOT_SERVING');
    this.#listener.close();
  }

  /** Ends gracefully: calls on their way are answered until `withinMs` is over; then all is cut. */
  async close(withinMs: number): Promise<void> {
    this.#unwatch?.();
    for (const stream of [...this.#streams]) stream.leave();
    const drained = new Promise<void>((resolve) => {
      this.#server.tryShutdown(() => resolve());
    });
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, withinMs);
    });
    await Promise.race([drained, late]);
    clearTimeout(timer);
    this.#server.forceShutdown();
    for (const socket of this.#sockets) socket.destroy();
    if (this.#listener.listening)
      await new Promise<void>((resolve) => this.#listener.close(() => resolve()));
  }

  #addAll(options: GatewayOptions, inFlight: InFlight): void {
    const { router, clock, failed, stateOf, view } = options;
    addServices(this.#server, {
      unary: { router, inFlight, failed, deadlineMarginMs },
      notify: { spaces: router.spaces, histories: options.histories, inFlight, clock, failed },
      admin: { ...options.admin, spaces: router.spaces, failed },
      readGroup: { stateOf, view, failed },
    });
  }

  /** Looks from time to time whether the node is apart from the others: then callers are sent away that wait. */
  #watch(isApart: () => boolean, clock: Clock): void {
    this.#unwatch = clock.after(apartLookMs, () => {
      if (isApart()) for (const stream of [...this.#streams]) stream.sendAway();
      this.#watch(isApart, clock);
    });
  }

  async #listen(listen: string): Promise<void> {
    const { host, port } = addressOf(listen);
    await new Promise<void>((resolve, reject) => {
      this.#listener.once('error', reject);
      this.#listener.listen({ host, port }, () => {
        this.#listener.off('error', reject);
        resolve();
      });
    });
    const bound = this.#listener.address();
    const boundPort = typeof bound === 'object' && bound !== null ? bound.port : port;
    this.#address = `${host.includes(':') ? `[${host}]` : host}:${boundPort}`;
  }
}

/**
 * When the turn that answers is over, and in the same round of the event loop: `setImmediate` would
 * let one more poll go by before the answers leave.
 */
function afterTurn(run: () => void): void {
  process.nextTick(run);
}

const defaultLimits: GatewayLimits = {
  callsPerConnectionMax,
  connectionsMax,
  replyBytesPause,
  replyBytesMax,
  replyMessageBytes,
};

function statusOfAll<Status>(status: Status): Record<string, Status> {
  return Object.fromEntries(services.map((service) => [service, status]));
}

/** The published contract, for reflection. */
function loadContract(): PackageDefinition {
  const root = fileURLToPath(new URL('.', import.meta.resolve('@tuplet/proto/package.json')));
  const files = ['tuplet/v1/space.proto', 'tuplet/v1/admin.proto'];
  return loadSync(files, { includeDirs: [root], keepCase: true });
}
