/**
 * One client process: the real engine over the simulated doors, and an application that writes down
 * what it asks and what it gets.
 */
import {
  type CallKind,
  callKinds,
  type Decoded,
  Engine,
  Operation,
  type OperationInput,
  Placement,
  Replies,
  type SpaceReference,
  TupletError,
} from '@tuplet/client/engine';
import { DecodeError, Routing } from '@tuplet/proto';
import { unreachable } from '../src/base/assert.ts';
import type { Net, Random } from '../src/base/doors.ts';
import type { ArgumentsJson, OutcomeJson, ResultJson } from './check/history.ts';
import type { Recorder } from './check/recorder.ts';
import type { SimProcess } from './scheduler.ts';
import { type AnswerJson, answerOf, Request, spaceReference } from './wire.ts';
import { simSpaces } from './workload.ts';

/** The operations of a history that a client starts. */
export type Asked =
  | 'write'
  | 'write-many'
  | 'write-if-absent'
  | 'read'
  | 'take'
  | 'read-many'
  | 'take-many'
  | 'replace'
  | 'increment'
  | 'count'
  | 'renew'
  | 'cancel';

const kindOf: Readonly<Record<Asked, CallKind>> = {
  write: callKinds.write,
  'write-many': callKinds.writeMany,
  'write-if-absent': callKinds.writeIfAbsent,
  read: callKinds.read,
  take: callKinds.take,
  'read-many': callKinds.readMany,
  'take-many': callKinds.takeMany,
  replace: callKinds.replace,
  increment: callKinds.increment,
  count: callKinds.count,
  renew: callKinds.renew,
  cancel: callKinds.cancel,
};

/** The request's body: everything but space, identity and wait. */
function bodyOf(operation: Asked, asked: ArgumentsJson): Request {
  const { tuple = [], template = null, leaseMs } = asked;
  const request = new Request();
  switch (operation) {
    case 'write':
      return request.tuple(3, tuple).duration(4, leaseMs);
    case 'write-many':
      return request.items(asked.tuples ?? [], leaseMs);
    case 'write-if-absent':
      return request
        .tuple(3, tuple)
        .duration(4, leaseMs)
        .template(5, asked.absent ?? []);
    case 'read':
    case 'count':
      return request.template(2, template);
    case 'read-many':
      return request
        .template(2, template)
        .uint(3, asked.max ?? 1)
        .uint(4, asked.min ?? 0);
    case 'take':
      return request.template(3, template);
    case 'take-many':
      return request
        .template(3, template)
        .uint(4, asked.max ?? 1)
        .uint(5, asked.min ?? 0);
    case 'replace':
      if (asked.version === undefined) request.template(3, template);
      else request.version(4, asked.version);
      return request.tuple(5, tuple).duration(6, leaseMs);
    case 'increment':
      return request
        .template(3, template)
        .uint(4, asked.field ?? 0)
        .int(5, Number(asked.delta ?? 1));
    case 'renew':
      return request.uint(3, asked.tupleId ?? 0).duration(4, leaseMs);
    case 'cancel':
      return request.uint(3, asked.tupleId ?? 0);
    default:
      return unreachable(operation);
  }
}

/** Hears how an operation ended; `cancelled`: it had been cancelled before. */
export type Told = (outcome: OutcomeJson, result: ResultJson, cancelled: boolean) => void;

/** An operation of the engine that writes its history. */
class RecordedOperation extends Operation {
  readonly #name: Asked;
  readonly #tell: (operation: RecordedOperation, outcome: OutcomeJson, result: ResultJson) => void;
  #answer: AnswerJson = { outcome: 'unknown', result: {} };

  constructor(
    input: OperationInput,
    name: Asked,
    tell: (operation: RecordedOperation, outcome: OutcomeJson, result: ResultJson) => void,
  ) {
    super(input);
    this.#name = name;
    this.#tell = tell;
  }

  decode(bytes: Uint8Array, start: number, end: number): Decoded {
    try {
      const answer = answerOf(this.#name, bytes, start, end);
      const isFirst = !this.mayHaveActed && !this.actedBefore;
      this.#answer = isFirst ? answer : inDoubt(answer);
    } catch (error) {
      if (error instanceof DecodeError) throw error;
      throw new DecodeError({ reason: 'MALFORMED_MESSAGE', field: '', message: String(error) });
    }
    if (this.#answer.outcome === 'cancelled') return 'cancelled';
    return this.kind.handsOver ? (this.#answer.result.found ?? []).map(({ id }) => id) : [];
  }

  succeed(): void {
    this.#tell(this, this.#answer.outcome, this.#answer.result);
  }

  fail(error: TupletError): void {
    const { reason, definite } = error;
    const cancelled = reason === 'CANCELLED' && definite;
    this.#tell(this, cancelled ? 'cancelled' : definite ? 'failed' : 'unknown', { reason });
  }
}

/** Where an earlier sending may have acted, a failed part of this one proves nothing: as the SDK says it. */
function inDoubt({ outcome, result }: AnswerJson): AnswerJson {
  const outcomes = result.outcomes?.map((each) =>
    'failed' in each && each.failed !== undefined ? { unknown: each.failed } : each,
  );
  if (outcomes === undefined) return { outcome, result };
  return { outcome: outcome === 'failed' ? 'unknown' : outcome, result: { ...result, outcomes } };
}

/** What a client is made of. */
export interface ClientOptions {
  readonly process: SimProcess;
  readonly net: Net;
  readonly random: Random;
  readonly recorder: Recorder;
  /** Where its Exchange goes; asked at each connection. */
  readonly address: () => string;
  readonly leaseMs: number;
  /** How many partitions the cluster has; 0: it stays at its address, wherever they are led. */
  readonly partitions: number;
  /** Replies of one message from which the engine hears it in two turns. */
  readonly repliesHalvedMin: number;
  /** A message was. */
  readonly onHalved: () => void;
  /** A take was answered in a session, and surely got nothing. */
  readonly onClosed: (session: number, sequence: number) => void;
}

/** See the top of the file. */
export class SimClient {
  readonly process: SimProcess;
  readonly #engine: Engine;
  readonly #recorder: Recorder;
  readonly #net: Net;
  readonly #address: () => string;
  readonly #partitions: number;
  readonly #onClosed: ClientOptions['onClosed'];
  readonly #spaces = new Map<string, SpaceReference>();
  /** Operations that can be cancelled. */
  readonly #open = new Set<RecordedOperation>();
  /** Handed out, and not yet known to be gone for good. */
  readonly #unconfirmed = new Set<RecordedOperation>();
  readonly #ended = new Set<number>();
  #closed = false;

  constructor(options: ClientOptions) {
    this.process = options.process;
    this.#recorder = options.recorder;
    this.#net = options.net;
    this.#address = options.address;
    this.#partitions = options.partitions;
    this.#onClosed = options.onClosed;
    const { clock } = this.process;
    const { repliesHalvedMin, onHalved } = options;
    const swept = (run: () => void) => (): void => {
      run();
      this.#sweep();
    };
    this.#engine = new Engine(
      {
        clock: {
          nowMs: () => clock.monotonicMs(),
          after: (delayMs, run) => clock.after(delayMs, swept(run)),
          soon: (run) => clock.soon(swept(run)),
        },
        random: options.random,
        connect: (events, told) => {
          const address = this.#partitions > 0 ? told : undefined;
          const link = this.#net.connect(address ?? this.#address(), {
            message: (bytes) => {
              if (new Replies(bytes).count() >= repliesHalvedMin) onHalved();
              swept(() => events.message(bytes))();
            },
            drained: () => events.drained(),
            closed: () => swept(() => events.closed(connectionLost()))(),
          });
          return { send: (bytes) => link.send(bytes), close: () => link.close() };
        },
      },
      { leaseMs: options.leaseMs, name: this.process.name, repliesHalvedMin },
    );
  }

  /** Whether it takes more work. */
  get open(): boolean {
    return this.process.alive && !this.#closed;
  }

  /** Operations that have not been answered. */
  get unanswered(): number {
    return this.#open.size;
  }

  /** Starts an operation; `told` hears its end. `waitMs` null: for ever. */
  start(name: Asked, asked: ArgumentsJson, timeoutMs: number, told: Told): void {
    const id = this.#recorder.invoke(this.process.name, name, asked);
    const body = bodyOf(name, asked);
    const bytes = body.finish();
    const waitMs = asked.waitMs === null ? Number.POSITIVE_INFINITY : (asked.waitMs ?? 0);
    const input = {
      kind: kindOf[name],
      space: this.#space(asked.space ?? ''),
      body: { bytes, start: 0, end: bytes.length, templateEnd: body.templateEnd },
      waitMs,
      timeoutMs,
    };
    const operation = new RecordedOperation(input, name, (ended, outcome, result) => {
      this.#open.delete(ended);
      const session = ended.session?.id;
      this.#recorder.complete(id, outcome, result, session);
      if (ended.kind.handsOver && outcome === 'ok') this.#unconfirmed.add(ended);
      else if (ended.kind.handsOver && outcome !== 'unknown' && session !== undefined) {
        this.#onClosed(session, ended.sequence);
      }
      told(outcome, result, ended.cancelError !== undefined);
    });
    this.#open.add(operation);
    this.#engine.start(operation);
  }

  /** Cancels one of the operations that wait; false where there is none. */
  cancelOne(random: { below(count: number): number }): boolean {
    const waiting = [...this.#open].filter((each) => each.waitMs > 0);
    const chosen = waiting[random.below(Math.max(1, waiting.length))];
    if (chosen === undefined) return false;
    this.#engine.cancel(chosen);
    return true;
  }

  /** Ends it in order. */
  close(): void {
    if (!this.open) return;
    this.#closed = true;
    this.#engine.close(() => this.#recorder.end(this.process.name, 'closed'));
  }

  #space(name: string): SpaceReference {
    const known = this.#spaces.get(name);
    if (known !== undefined) return known;
    const placement = this.#placementOf(name);
    const space: SpaceReference = {
      encoded: spaceReference({ name }),
      partitionOf: (kind, body) => placement?.partitionOf(kind, body) ?? 0,
      refresh: (done) => done(undefined),
    };
    this.#spaces.set(name, space);
    return space;
  }

  #placementOf(name: string): Placement | undefined {
    const space = simSpaces.find((each) => each.name === name);
    if (space === undefined || this.#partitions === 0) return undefined;
    const rules = space.rule === undefined ? [] : [space.rule];
    return new Placement(new Routing(space.like ?? name, rules), this.#partitions);
  }

  /** Writes down which sessions were given up with receipts not confirmed: their tuples come back. */
  #sweep(): void {
    for (const operation of this.#unconfirmed) {
      if (operation.stage !== 'settled') continue;
      this.#unconfirmed.delete(operation);
      const session = operation.session?.id;
      if (operation.unreceived.length === 0 || session === undefined) continue;
      if (this.#ended.has(session)) continue;
      this.#ended.add(session);
      this.#recorder.end(this.process.name, 'lost', session);
    }
  }
}

function connectionLost(): TupletError {
  return new TupletError({
    reason: 'CONNECTION_LOST',
    code: 'UNAVAILABLE',
    definite: false,
    retryable: true,
    message: 'the connection is gone',
  });
}
