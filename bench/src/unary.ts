import { Client, credentials, Metadata } from '@grpc/grpc-js';
import {
  decodeTuple,
  encodeTemplate,
  encodeTuple,
  Kind,
  type MatcherSpec,
  type Method,
  type Value,
} from '@tuplet/proto';
import { Outcome, TupleSpaceService } from '@tuplet/proto/contract';
import { filler, type TargetClient } from './target.ts';

const { write, read, take } = TupleSpaceService.methods;
const any: MatcherSpec = { kind: 'any' };

/** The unary door as any gRPC client uses it: one call an operation, no session, no retries. */
export class UnaryTarget implements TargetClient {
  readonly #client: Client;
  readonly #space: { readonly name: string };

  constructor(address: string, space: string) {
    this.#space = { name: space };
    this.#client = new Client(address, credentials.createInsecure(), {
      'grpc.use_local_subchannel_pool': 1,
    });
  }

  async write(): Promise<void> {
    await this.#write(['job', filler]);
  }

  async takeAny(): Promise<void> {
    await this.#take([actual('job'), any]);
  }

  async send(stamp: number): Promise<void> {
    await this.#write(['hand-off', stamp, filler]);
  }

  async receive(): Promise<number> {
    const formal: MatcherSpec = { kind: 'formal', formal: Kind.NUMBER };
    const [, stamp] = decodeTuple(await this.#take([actual('hand-off'), formal, any]));
    return Number(stamp);
  }

  async put(key: number): Promise<void> {
    await this.#write(['key', key, filler]);
  }

  async readKey(key: number): Promise<void> {
    const template = encodeTemplate([{ matchers: [actual('key'), actual(key), any] }]);
    const { outcome } = await this.#call(read, { space: this.#space, template });
    if (outcome !== Outcome.FOUND) throw new Error('the key is gone');
  }

  close(): Promise<void> {
    this.#client.close();
    return Promise.resolve();
  }

  async #write(fields: readonly Value[]): Promise<void> {
    await this.#call(write, { space: this.#space, tuple: encodeTuple(fields) });
  }

  async #take(matchers: readonly MatcherSpec[]): Promise<Uint8Array> {
    const template = encodeTemplate([{ matchers }]);
    const { found } = await this.#call(take, { space: this.#space, template });
    if (found?.tuple == null) throw new Error('the take ended without a tuple');
    return found.tuple;
  }

  #call<Request, RequestInit, Response, ResponseInit>(
    method: Method<Request, RequestInit, Response, ResponseInit>,
    request: RequestInit,
  ): Promise<Response> {
    return new Promise((resolve, reject) => {
      this.#client.makeUnaryRequest(
        method.path,
        (message: RequestInit) => asBuffer(method.request.encode(message)),
        (bytes: Buffer) => method.response.decode(bytes),
        request,
        new Metadata(),
        (error, response) => {
          if (error !== null) reject(error);
          else if (response === undefined) reject(new Error('no answer and no error'));
          else resolve(response);
        },
      );
    });
  }
}

function actual(value: Value): MatcherSpec {
  return { kind: 'actual', value };
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
