import { randomBytes } from 'node:crypto';
import { credentials } from '@grpc/grpc-js';
import { addressesOf } from './address.ts';
import { Admin } from './admin.ts';
import type { EngineRandom } from './engine/doors.ts';
import { Engine } from './engine/engine.ts';
import { TupletError } from './error.ts';
import { nodeClock, patientClock } from './grpc/clock.ts';
import { Connection } from './grpc/connection.ts';
import { pause } from './grpc/pause.ts';
import type { NotifyHost } from './notify.ts';
import { checkedMs } from './options.ts';
import { Space, type SpaceHost } from './space.ts';
import { SpaceAddress } from './space-address.ts';

/** TLS towards the servers. */
export interface TlsOptions {
  /** PEM of the certificate authorities to trust; default those of Node. */
  readonly ca?: Uint8Array | string;
  /** PEM of this client's certificate chain; default none. With `key`. */
  readonly certificate?: Uint8Array | string;
  /** PEM of this client's private key; default none. With `certificate`. */
  readonly key?: Uint8Array | string;
}

/** What `connect` may be told. */
export interface ConnectOptions {
  /**
   * Milliseconds until the sessions of this client end without it, 1,000 to 3,600,000; default
   * 10,000. What it has taken and not yet received comes back then. An event loop that is blocked for
   * longer loses its session.
   */
  readonly sessionLeaseMs?: number;
  /** A name for people, which the server shows beside the sessions, up to 128 bytes; default none. */
  readonly name?: string;
  /**
   * Connections to each node that is needed, used in turn, 1 to 64; default 1. With each go sessions of
   * its own. More than one helps where one connection's encryption or flow control is the bound.
   */
  readonly connections?: number;
  /** Milliseconds that `connect` waits for the first connection, 1 and more; default 10,000. */
  readonly connectTimeoutMs?: number;
  /** Encrypts the connections; default: not encrypted. */
  readonly tls?: TlsOptions;
  /** Calls that may wait in the client to be sent, for each connection, 1 and more; default 65,536. */
  readonly queuedMax?: number;
  /**
   * Called with the ids of tuples that takes have resolved with, and whose receipt no server had
   * confirmed when their session ended: they may come back and be handed to others. That takes a process
   * that stood still, or servers that were away, for a lease, just after the take. Must not throw.
   */
  readonly onUnconfirmed?: (tupleIds: readonly number[]) => void;
}

/** A connected client. `close` it, or declare it with `await using`. */
export interface Client extends AsyncDisposable {
  /** A space by its name. Costs nothing; the first call looks it up. */
  space(name: string): Space;
  /** Creates, lists, describes and drops spaces. */
  readonly admin: Admin;
  /**
   * Ends the client: cancels what blocks, lets the rest finish, confirms what was received, ends the
   * sessions, for at most 2 s. Never rejects.
   */
  close(): Promise<void>;
}

/** Randomness for jitter: seeded once, since it protects nothing. */
function jitter(): EngineRandom {
  let state = randomBytes(4).readUInt32LE();
  return {
    uint32: () => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
      return state;
    },
  };
}

function refuse(field: string, value: unknown, bounds: string): never {
  throw new TupletError({
    reason: 'VALUE_OUT_OF_RANGE',
    code: 'INVALID_ARGUMENT',
    definite: true,
    retryable: false,
    message: `${field} is ${String(value)}, limit ${bounds}`,
    field,
  });
}

function checkOptions(options: ConnectOptions): void {
  const { connections = 1, sessionLeaseMs = 10_000, queuedMax = 1 } = options;
  if (!(Number.isInteger(connections) && connections >= 1 && connections <= 64)) {
    refuse('connections', connections, '1 to 64');
  }
  if (!(sessionLeaseMs >= 1_000 && sessionLeaseMs <= 3_600_000)) {
    refuse('sessionLeaseMs', sessionLeaseMs, '1,000 to 3,600,000');
  }
  if (!(queuedMax >= 1)) refuse('queuedMax', queuedMax, '1 and more');
  checkedMs('connectTimeoutMs', options.connectTimeoutMs, 1);
}

function pem(text: Uint8Array | string | undefined): Buffer | null {
  return text === undefined ? null : Buffer.from(text);
}

class GrpcTuplet implements Client, SpaceHost {
  readonly admin: Admin;
  readonly notifyHost: NotifyHost;
  readonly onUnconfirmed: ConnectOptions['onUnconfirmed'];
  readonly #connections: readonly Connection[];
  readonly #engines: readonly Engine[];
  readonly #spaces = new Map<string, SpaceAddress>();
  #next = 0;
  #closing: Promise<void> | undefined;

  constructor(connections: readonly Connection[], options: ConnectOptions, random: EngineRandom) {
    this.#connections = connections;
    this.onUnconfirmed = options.onUnconfirmed;
    const clock = connections.length === 1 ? nodeClock() : patientClock(nodeClock());
    this.#engines = connections.map((connection) => {
      const { sessionLeaseMs: leaseMs, name, queuedMax } = options;
      return new Engine(
        { clock, random, connect: connection.exchange, learned: connection.learned },
        {
          ...(leaseMs === undefined ? {} : { leaseMs }),
          ...(name === undefined ? {} : { name }),
          ...(queuedMax === undefined ? {} : { queuedMax }),
        },
      );
    });
    this.admin = new Admin(
      (path, request, call) => this.#first().unary(path, request, call),
      (path, request, address) => this.#first().openStream(path, request, address),
    );
    this.notifyHost = {
      random,
      openStream: (path, request) => this.#first().openStream(path, request),
      pause,
      spaceRef: async (name, isStale) => {
        const address = this.#address(name);
        if (isStale || address.reference === undefined) await address.resolve();
        return address.reference ?? { name };
      },
    };
  }

  space(name: string): Space {
    return new Space(this, this.#address(name));
  }

  engine(): Engine {
    this.#next = (this.#next + 1) % this.#engines.length;
    const engine = this.#engines[this.#next];
    if (engine === undefined) throw new TypeError('a client has an engine');
    return engine;
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    const ends = this.#engines.map((engine) => new Promise<void>((done) => engine.close(done)));
    await Promise.all(ends);
    for (const connection of this.#connections) connection.close();
  }

  #first(): Connection {
    const connection = this.#connections[0];
    if (connection === undefined) throw new TypeError('a client has a connection');
    return connection;
  }

  #address(name: string): SpaceAddress {
    let address = this.#spaces.get(name);
    if (address === undefined) {
      address = new SpaceAddress(name, this.admin);
      this.#spaces.set(name, address);
    }
    return address;
  }
}

/**
 * Connects to a cluster by one or some of its servers, `tuplet://host[:port][,host[:port]…]` (port 7447
 * if none is named), and resolves when a connection stands. The cluster tells where its other nodes are. Rejects with TupletError: INVALID_ARGUMENT for what cannot be
 * meant, CONNECTION_LOST where no server answers in time. What breaks later is mended by itself.
 */
export async function connect(url: string, options: ConnectOptions = {}): Promise<Client> {
  checkOptions(options);
  const addresses = addressesOf(url);
  const { tls, connections: count = 1, connectTimeoutMs = 10_000 } = options;
  const secrets =
    tls === undefined
      ? credentials.createInsecure()
      : credentials.createSsl(pem(tls.ca), pem(tls.key), pem(tls.certificate));
  const random = jitter();
  const connections = Array.from({ length: count }, (_, index) => {
    const first = index % addresses.length;
    const inTurn = [...addresses.slice(first), ...addresses.slice(0, first)];
    return new Connection(inTurn, secrets, random);
  });
  try {
    await Promise.all(connections.map((connection) => connection.ready(connectTimeoutMs)));
  } catch (error) {
    for (const connection of connections) connection.close();
    throw error;
  }
  return new GrpcTuplet(connections, options, random);
}
