/** The server's side of an Exchange over a simulated link: what grpc-js gives the handler. */
import { EventEmitter } from 'node:events';
import type { Link, LinkEvents } from '../src/base/doors.ts';

/** Whole messages in, whole messages out, and the end of the link as grpc-js tells of it. */
export class SimStream extends EventEmitter {
  readonly #link: Link;
  readonly #peer: string;
  readonly #soon: (run: () => void) => void;
  readonly #held: Buffer[] = [];
  readonly #unwritten: (() => void)[] = [];
  #paused = false;
  #full = false;
  #gone = false;

  constructor(link: Link, peer: string, soon: (run: () => void) => void) {
    super();
    this.#link = link;
    this.#peer = peer;
    this.#soon = soon;
    // The handler ends a stream by this event; grpc-js then sends the status and closes.
    this.on('error', () => this.#close());
  }

  /** What the link's owner hears. */
  get events(): LinkEvents {
    return {
      message: (message) => {
        const bytes = Buffer.from(message);
        if (this.#paused) this.#held.push(bytes);
        else this.emit('data', bytes);
      },
      drained: () => {
        this.#full = false;
        for (const done of this.#unwritten.splice(0)) done();
      },
      closed: () => {
        if (this.#gone) return;
        this.#gone = true;
        this.emit('cancelled');
        this.emit('close');
      },
    };
  }

  getPeer(): string {
    return this.#peer;
  }

  /** `done` is called when the connection has taken the message. */
  write(message: Uint8Array, done?: (error?: Error | null) => void): boolean {
    if (this.#gone) return false;
    if (!this.#link.send(message)) this.#full = true;
    const taken = (): void => {
      if (!this.#gone) done?.();
    };
    if (this.#full) this.#unwritten.push(taken);
    else this.#soon(taken);
    return !this.#full;
  }

  pause(): this {
    this.#paused = true;
    return this;
  }

  resume(): this {
    this.#paused = false;
    while (!this.#paused) {
      const bytes = this.#held.shift();
      if (bytes === undefined) break;
      this.emit('data', bytes);
    }
    return this;
  }

  isPaused(): boolean {
    return this.#paused;
  }

  end(): this {
    this.#close();
    return this;
  }

  /** As a server that is shut down by force ends it. */
  cut(): void {
    if (this.#gone) return;
    this.#gone = true;
    this.#link.close();
    this.emit('cancelled');
    this.emit('close');
  }

  #close(): void {
    if (this.#gone) return;
    this.#gone = true;
    this.#link.close();
    this.#soon(() => this.emit('close'));
  }
}

/**
 * The server's side of a Notify: its request is the first message; each answer is led by a byte 0,
 * the status that ends the stream by a byte 1.
 */
export class SimNotifyStream extends SimStream {
  request: Buffer = Buffer.alloc(0);

  constructor(link: Link, peer: string, soon: (run: () => void) => void, begin: () => void) {
    super(link, peer, soon);
    this.prependListener('error', (error: { readonly metadata?: Details }) => {
      const [details = Buffer.alloc(0)] = error.metadata?.get('grpc-status-details-bin') ?? [];
      link.send(Buffer.concat([Buffer.of(1), Buffer.from(details)]));
    });
    this.once('data', (bytes: Buffer) => {
      this.request = bytes;
      begin();
    });
  }

  override write(message: Uint8Array, done?: (error?: Error | null) => void): boolean {
    return super.write(Buffer.concat([Buffer.of(0), message]), done);
  }
}

interface Details {
  get(name: string): readonly (string | Buffer)[];
}
