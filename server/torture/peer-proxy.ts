/** The way from one node to another, which the round can cut: nothing is refused, and nothing passes. */
import { connect, createServer, type Server, type Socket } from 'node:net';

/** Connections that one node dials to another. */
export class PeerProxy {
  readonly #server: Server;
  readonly #pairs = new Set<readonly [Socket, Socket]>();
  #isCut = false;
  #port = 0;

  private constructor(target: number) {
    this.#server = createServer({ noDelay: true }, (from) => {
      const to = connect({ host: '127.0.0.1', port: target, noDelay: true });
      const pair = [from, to] as const;
      this.#pairs.add(pair);
      for (const [one, other] of [pair, [to, from] as const]) {
        one.on('data', (bytes) => {
          if (!other.write(bytes)) one.pause();
        });
        other.on('drain', () => {
          if (!this.#isCut) one.resume();
        });
        one.on('error', () => one.destroy());
        one.on('close', () => {
          this.#pairs.delete(pair);
          other.destroy();
        });
      }
      if (this.#isCut) hold(pair);
    });
  }

  /** Listens; what comes is passed on to a port of this machine. */
  static async open(target: number): Promise<PeerProxy> {
    const proxy = new PeerProxy(target);
    await new Promise<void>((resolve) => proxy.#server.listen(0, '127.0.0.1', resolve));
    const address = proxy.#server.address();
    if (typeof address === 'object' && address !== null) proxy.#port = address.port;
    return proxy;
  }

  get port(): number {
    return this.#port;
  }

  /** Nothing passes any more, either way; whoever dials is not refused. */
  cut(): void {
    this.#isCut = true;
    for (const pair of this.#pairs) hold(pair);
  }

  /** What was held comes now. */
  heal(): void {
    this.#isCut = false;
    for (const pair of this.#pairs) for (const socket of pair) socket.resume();
  }

  async close(): Promise<void> {
    for (const pair of this.#pairs) for (const socket of pair) socket.destroy();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }
}

function hold(pair: readonly [Socket, Socket]): void {
  for (const socket of pair) socket.pause();
}
