/** A bare gRPC client of the contract: grpc-js and our codecs, nothing that retries or hides. */
import {
  Client,
  type ClientDuplexStream,
  type ClientReadableStream,
  type ClientUnaryCall,
  credentials,
  Metadata,
  type ServiceError,
} from '@grpc/grpc-js';
import {
  type Codec,
  decodeStatus,
  GrpcCode,
  type Method,
  type ReceivedFailure,
  STATUS_TRAILER,
} from '@tuplet/proto';
import * as contract from '@tuplet/proto/contract';

/** What a failed call said of itself in `grpc-status-details-bin`. */
export interface CallFailure extends ReceivedFailure {
  readonly grpcCode: number;
}

/** A unary call on its way. */
export interface Pending<Response> {
  readonly answer: Promise<Response>;
  cancel(): void;
}

const { methods } = contract.TupleSpaceService;

/** One connection. */
export class BareClient {
  readonly #client: Client;

  constructor(address: string) {
    this.#client = new Client(address, credentials.createInsecure(), {
      'grpc.use_local_subchannel_pool': 1,
      'grpc.max_receive_message_length': 8 * 1024 * 1024,
    });
  }

  close(): void {
    this.#client.close();
  }

  /** Makes a unary call. */
  begin<Request, RequestInit, Response, ResponseInit>(
    method: Method<Request, RequestInit, Response, ResponseInit>,
    request: RequestInit,
    deadlineMs?: number,
  ): Pending<Response> {
    let call: ClientUnaryCall | undefined;
    const options = deadlineMs === undefined ? {} : { deadline: Date.now() + deadlineMs };
    const answer = new Promise<Response>((resolve, reject) => {
      call = this.#client.makeUnaryRequest(
        method.path,
        serializer(method.request),
        (bytes: Buffer) => method.response.decode(bytes),
        request,
        new Metadata(),
        options,
        (error, response) => {
          if (error !== null) reject(error);
          else if (response !== undefined) resolve(response);
        },
      );
    });
    // Whoever cancels a call need not look at its answer.
    answer.catch(() => undefined);
    return { answer, cancel: () => call?.cancel() };
  }

  /** Makes a unary call and waits for its answer. */
  call<Request, RequestInit, Response, ResponseInit>(
    method: Method<Request, RequestInit, Response, ResponseInit>,
    request: RequestInit,
    deadlineMs?: number,
  ): Promise<Response> {
    return this.begin(method, request, deadlineMs).answer;
  }

  /** Why a call failed; throws where it did not. */
  async failure<Request, RequestInit, Response, ResponseInit>(
    method: Method<Request, RequestInit, Response, ResponseInit>,
    request: RequestInit,
  ): Promise<CallFailure> {
    try {
      await this.call(method, request);
    } catch (error) {
      return failureOf(error as ServiceError);
    }
    throw new Error('the call did not fail');
  }

  exchange(): ExchangeClient {
    const stream = this.#client.makeBidiStreamRequest(
      methods.exchange.path,
      serializer(methods.exchange.request),
      (bytes: Buffer) => methods.exchange.response.decode(bytes),
    );
    return new ExchangeClient(stream);
  }

  notify(request: contract.NotifyRequestInit): NotifyClient {
    const stream = this.#client.makeServerStreamRequest(
      methods.notify.path,
      serializer(methods.notify.request),
      (bytes: Buffer) => methods.notify.response.decode(bytes),
      request,
    );
    return new NotifyClient(stream);
  }
}

/** One Exchange: sends batches, hands out replies by call. */
export class ExchangeClient {
  readonly stream: ClientDuplexStream<contract.ExchangeRequestInit, contract.ExchangeResponse>;
  /** Sizes of the batches that came. */
  readonly batches: number[] = [];
  readonly #replies: Map<number, contract.ReplyResponse | null> = new Map();
  readonly #waiting: Map<number, (reply: contract.ReplyResponse | null) => void> = new Map();
  readonly ended: Promise<ServiceError | undefined>;

  constructor(stream: ClientDuplexStream<contract.ExchangeRequestInit, contract.ExchangeResponse>) {
    this.stream = stream;
    stream.on('data', (message: contract.ExchangeResponse) => {
      this.batches.push(message.replies.length);
      for (const { callId, response } of message.replies) {
        const waiting = this.#waiting.get(callId);
        this.#waiting.delete(callId);
        if (waiting === undefined) this.#replies.set(callId, response);
        else waiting(response);
      }
    });
    this.ended = new Promise((resolve) => {
      stream.on('error', (error: ServiceError) => resolve(error));
      stream.on('end', () => resolve(undefined));
    });
  }

  send(...calls: contract.CallInit[]): void {
    this.stream.write({ calls });
  }

  reply(callId: number): Promise<contract.ReplyResponse | null> {
    const reply = this.#replies.get(callId);
    if (reply !== undefined) return Promise.resolve(reply);
    return new Promise((resolve) => this.#waiting.set(callId, resolve));
  }
}

/** One notify stream: its messages in order. */
export class NotifyClient {
  readonly stream: ClientReadableStream<contract.NotifyResponse>;
  readonly events: contract.Event[] = [];
  readonly cursors: { readonly cursor: Uint8Array; readonly after: number }[] = [];
  readonly failed: Promise<CallFailure>;
  #wake: () => void = () => undefined;

  constructor(stream: ClientReadableStream<contract.NotifyResponse>) {
    this.stream = stream;
    stream.on('data', ({ events, cursor }: contract.NotifyResponse) => {
      this.events.push(...events);
      if (cursor.length > 0)
        this.cursors.push({ cursor: cursor.slice(), after: this.events.length });
      this.#wake();
    });
    this.failed = new Promise((resolve) => {
      stream.on('error', (error: ServiceError) => {
        // The test's own cancellation is no failure.
        if (error.code !== GrpcCode.CANCELLED) resolve(failureOf(error));
      });
    });
  }

  /** Resolves when the condition holds. */
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}

/** What a gRPC error says. */
export function failureOf(error: ServiceError): CallFailure {
  const [bytes] = error.metadata?.get(STATUS_TRAILER) ?? [];
  const failure = bytes instanceof Buffer ? decodeStatus(bytes) : undefined;
  if (failure === undefined) throw error;
  return { ...failure, grpcCode: error.code };
}

function serializer<Init>(codec: Codec<unknown, Init>): (message: Init) => Buffer {
  return (message) => Buffer.from(codec.encode(message));
}
