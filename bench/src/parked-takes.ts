import { Client, type ClientDuplexStream, credentials, Metadata } from '@grpc/grpc-js';
import { durationOfMs, encodeTemplate, type PatternSpec, readStatus } from '@tuplet/proto';
import {
  type CallRequestInit,
  type ExchangeRequestInit,
  type ExchangeResponse,
  Outcome,
  type ReplyResponse,
  TupleSpaceService,
} from '@tuplet/proto/contract';

type Stream = ClientDuplexStream<ExchangeRequestInit, ExchangeResponse>;

const { exchange } = TupleSpaceService.methods;
const leaseMs = 60_000;
const callsPerMessage = 250;
/** Takes hold the floor of their session where it is: the first of them is open as long as it is. */
const floor = 1;

/**
 * One session on one Exchange stream that parks takes: grpc-js and the contract's codecs. The SDK
 * keeps at most 4,096 takes of a connection open (SPEC §4), which the server counts for each partition
 * apart; and what 100,000 takes cost *here* would disturb what is measured there.
 */
export class ParkedTakes {
  readonly #client: Client;
  readonly #stream: Stream;
  readonly #answers = new Map<number, (response: ReplyResponse) => void>();
  readonly #failed: (error: Error) => void;
  #keeping: NodeJS.Timeout | undefined;
  #lastCall = 0;
  #lastSequence = 0;
  #session = 0;

  private constructor(address: string, failed: (error: Error) => void) {
    this.#failed = failed;
    this.#client = new Client(address, credentials.createInsecure(), {
      'grpc.use_local_subchannel_pool': 1,
    });
    this.#stream = this.#client.makeBidiStreamRequest(
      exchange.path,
      (message: ExchangeRequestInit) => Buffer.from(exchange.request.encode(message)),
      (bytes: Buffer) => exchange.response.decode(bytes),
      new Metadata(),
    );
    this.#stream.on('error', failed);
    this.#stream.on('data', ({ replies }: ExchangeResponse) => {
      for (const { callId, response } of replies) {
        if (response !== null) this.#answered(callId, response);
      }
    });
  }

  /** Opens a session. `failed` hears of a call that is refused and of a stream that breaks. */
  static async open(address: string, failed: (error: Error) => void): Promise<ParkedTakes> {
    const takes = new ParkedTakes(address, failed);
    const lease = durationOfMs(leaseMs);
    const opened = await takes.#ask({ kind: 'openSession', value: { lease } });
    if (opened.kind !== 'openSession') throw new Error('the session was not opened');
    takes.#session = opened.value.sessionId;
    takes.#keeping = setInterval(() => takes.#keep(), leaseMs / 4);
    return takes;
  }

  /** Sends takes that wait for ever. `found` is called when one of them has its tuple. */
  async park(templates: readonly PatternSpec[], found: (index: number) => void): Promise<void> {
    for (let from = 0; from < templates.length; from += callsPerMessage) {
      const calls = templates
        .slice(from, from + callsPerMessage)
        .map((pattern, i) => this.#take(pattern, () => found(from + i)));
      if (!this.#stream.write({ calls }))
        await new Promise<void>((resolve) => this.#stream.once('drain', () => resolve()));
    }
  }

  /** Ends the session with its takes, and the connection. */
  async close(): Promise<void> {
    clearInterval(this.#keeping);
    // The end of the session ends the takes; that is no failure any more.
    this.#answers.clear();
    await this.#ask({ kind: 'closeSession', value: { sessionId: this.#session } });
    this.#stream.removeAllListeners('error');
    this.#stream.on('error', () => undefined);
    this.#stream.cancel();
    this.#client.close();
  }

  #take(
    pattern: PatternSpec,
    found: () => void,
  ): { readonly callId: number; readonly request: CallRequestInit } {
    this.#lastSequence += 1;
    const sequence = this.#lastSequence;
    const identity = { sessionId: this.#session, sequence, attempt: 1, floor };
    const callId = this.#expect((response) => {
      if (response.kind !== 'take' || response.value.outcome !== Outcome.FOUND) {
        this.#failed(new Error(`a parked take ended: ${describe(response)}`));
        return;
      }
      found();
      const tupleId = response.value.found?.tupleId ?? 0;
      const receipts = [{ sequence, tupleId }];
      this.#send({ kind: 'acknowledge', value: { sessionId: this.#session, floor, receipts } });
    });
    const request: CallRequestInit = {
      kind: 'take',
      value: {
        space: { name: 'default' },
        operation: { kind: { kind: 'session', value: identity } },
        template: encodeTemplate([pattern]),
      },
    };
    return { callId, request };
  }

  #keep(): void {
    this.#send({ kind: 'keepSession', value: { sessionId: this.#session } });
  }

  #send(request: CallRequestInit): void {
    const callId = this.#expect((response) => {
      if (response.kind === 'error') this.#failed(new Error(describe(response)));
    });
    this.#stream.write({ calls: [{ callId, request }] });
  }

  #ask(request: CallRequestInit): Promise<ReplyResponse> {
    return new Promise((resolve) => {
      const callId = this.#expect(resolve);
      this.#stream.write({ calls: [{ callId, request }] });
    });
  }

  #expect(answer: (response: ReplyResponse) => void): number {
    this.#lastCall += 1;
    this.#answers.set(this.#lastCall, answer);
    return this.#lastCall;
  }

  #answered(callId: number, response: ReplyResponse): void {
    const answer = this.#answers.get(callId);
    this.#answers.delete(callId);
    answer?.(response);
  }
}

function describe(response: ReplyResponse): string {
  if (response.kind !== 'error') return response.kind;
  const { reason, message } = readStatus(response.value);
  return `${reason}: ${message}`;
}
