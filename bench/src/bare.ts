import { join } from 'node:path';
import { Client, type ClientDuplexStream, credentials } from '@grpc/grpc-js';
import { answerBytes, BareKind, bareMethod, recordBytes } from './bare-stream.ts';
import { startScript } from './script.ts';
import type { Target, TargetClient } from './target.ts';

/**
 * Starts the bare stream and log in a process of its own: what Tuplet could reach at best over grpc-js,
 * with no tuples and no rules.
 */
export async function startBare(folder: string): Promise<Target> {
  const server = await startScript('bare-server.js', [join(folder, 'bare.log')]);
  return {
    name: 'bare stream',
    connect: async () => new BareClient(server.address),
    clear: () => Promise.resolve(),
    serverCpuUs: () => [server.cpuUs()],
    close: () => server.close(),
  };
}

/** Callers of one turn share a message, as they do in the SDK. */
class BareClient implements TargetClient {
  readonly #client: Client;
  readonly #stream: ClientDuplexStream<Buffer, Buffer>;
  #batch: Buffer[] = [];
  /** Who waits for the next answers, in order. */
  #waiting: { readonly bytes: number; readonly resolve: () => void }[] = [];
  #received: number[] = [];
  #receiver: ((stamp: number) => void) | undefined;
  #receives = false;

  constructor(address: string) {
    this.#client = new Client(address, credentials.createInsecure(), {
      'grpc.use_local_subchannel_pool': 1,
    });
    const { path, requestSerialize, responseDeserialize } = bareMethod;
    this.#stream = this.#client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize);
    this.#stream.on('data', (bytes: Buffer) => this.#heard(bytes));
    this.#stream.on('error', () => {});
  }

  write(): Promise<void> {
    return this.#ask(BareKind.LOG);
  }

  takeAny(): Promise<void> {
    return this.#ask(BareKind.LOG);
  }

  send(stamp: number): Promise<void> {
    return this.#ask(BareKind.SEND, stamp);
  }

  receive(): Promise<number> {
    if (!this.#receives) this.#stream.write(record(BareKind.RECEIVE, 0));
    this.#receives = true;
    const stamp = this.#received.shift();
    if (stamp !== undefined) return Promise.resolve(stamp);
    return new Promise((resolve) => (this.#receiver = resolve));
  }

  put(): Promise<void> {
    return this.#ask(BareKind.LOG);
  }

  readKey(): Promise<void> {
    return this.#ask(BareKind.READ);
  }

  close(): Promise<void> {
    this.#stream.end();
    this.#client.close();
    return Promise.resolve();
  }

  #ask(kind: number, stamp = 0): Promise<void> {
    if (this.#batch.length === 0) process.nextTick(() => this.#flush());
    this.#batch.push(record(kind, stamp));
    return new Promise((resolve) => {
      this.#waiting.push({ bytes: answerBytes(kind), resolve });
    });
  }

  #flush(): void {
    this.#stream.write(Buffer.concat(this.#batch));
    this.#batch = [];
  }

  #heard(bytes: Buffer): void {
    if (this.#receives) {
      for (let at = 0; at < bytes.length; at += recordBytes)
        this.#handed(bytes.readDoubleLE(at + 1));
      return;
    }
    let count = 0;
    for (let at = 0; at < bytes.length; count += 1)
      at += this.#waiting[count]?.bytes ?? bytes.length;
    for (const { resolve } of this.#waiting.splice(0, count)) resolve();
  }

  #handed(stamp: number): void {
    const receiver = this.#receiver;
    this.#receiver = undefined;
    if (receiver === undefined) this.#received.push(stamp);
    else receiver(stamp);
  }
}

function record(kind: number, stamp: number): Buffer {
  const bytes = Buffer.alloc(recordBytes);
  bytes[0] = kind;
  bytes.writeDoubleLE(stamp, 1);
  return bytes;
}
