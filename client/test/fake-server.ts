/**
 * A tiny tuple space behind Exchange: one partition, matching by scan, sessions with leases on the
 * virtual clock, results, fences, floors and receipts as PROTOCOL wants them, so that what the engine
 * does can be judged by what it does to tuples. Tests hold replies back, or answer by themselves.
 */
import {
  compileTemplate,
  FieldOffsets,
  isProblem,
  matchTuple,
  type Template,
  type TupleBytes,
} from '@tuplet/proto';
import type { Channel, ChannelEvents, EngineClock } from '../src/engine/index.ts';
import { TupletError } from '../src/error.ts';
import {
  bytesIn,
  duration,
  durationOf,
  fieldsOf,
  type Identity,
  message,
  numberIn,
  readCalls,
  reply,
  type SeenCall,
  status,
  stored,
} from './exchange-codec.ts';

interface Held {
  readonly id: number;
  readonly bytes: TupleBytes;
  deliveries: number;
  /** `session/sequence` of the take it was handed to. */
  handedTo: string | undefined;
}

interface ServedSession {
  endsAtMs: number;
  floor: number;
}

interface Waiter {
  readonly connection: FakeConnection;
  readonly call: SeenCall;
  readonly template: Template;
}

/** One connection of the fake server. */
export class FakeConnection implements Channel {
  readonly #server: FakeServer;
  readonly #events: ChannelEvents;
  /** What `send` returns. */
  accepts = true;
  isOpen = true;
  /** Bytes of each message that came. */
  readonly messageSizes: number[] = [];
  /** Where it goes; undefined: to any server. */
  readonly address: string | undefined;
  /** Every call that came over it, in order. */
  readonly calls: SeenCall[] = [];

  constructor(server: FakeServer, events: ChannelEvents, address: string | undefined) {
    this.#server = server;
    this.address = address;
    this.#events = events;
  }

  send(bytes: Uint8Array): boolean {
    if (!this.isOpen) return false;
    this.messageSizes.push(bytes.length);
    if (numberIn(fieldsOf(bytes), 2) === 1) this.#server.toldOf(this);
    for (const call of readCalls(bytes)) {
      this.calls.push(call);
      this.#server.receive(this, call);
    }
    return this.accepts;
  }

  close(): void {
    this.isOpen = false;
    this.#server.gone(this);
  }

  /** Answers a call, at the end of the turn. */
  answer(bytes: Uint8Array): void {
    this.#server.clock.soon(() => {
      if (this.isOpen) this.deliver(bytes);
    });
  }

  /** A message arrives now. */
  deliver(bytes: Uint8Array): void {
    this.#events.message(bytes);
  }

  drain(): void {
    this.accepts = true;
    this.#events.drained();
  }

  /** The network breaks. */
  break(retryable = true): void {
    this.isOpen = false;
    this.#server.gone(this);
    this.#events.closed(
      new TupletError({
        reason: retryable ? 'CONNECTION_LOST' : 'UNAUTHENTICATED',
        code: retryable ? 'UNAVAILABLE' : 'UNAUTHENTICATED',
        definite: false,
        retryable,
        message: 'broken by the test',
      }),
    );
  }
}

export class FakeServer {
  readonly clock: EngineClock;
  readonly connections: FakeConnection[] = [];
  /** Every call that came, in order. */
  readonly calls: SeenCall[] = [];
  readonly tuples: Map<number, Held> = new Map();
  readonly sessions: Map<number, ServedSession> = new Map();
  /** Tuple ids whose receipt was logged. */
  readonly received: number[] = [];
  leaseMs = 10_000;
  /** Replies for which this says true never leave: they are lost. */
  loses: (call: SeenCall) => boolean = () => false;
  /** A reply of the test's own, in place of the server's: bytes, or `true` for silence. */
  instead: (call: SeenCall, connection: FakeConnection) => Uint8Array | true | undefined = () =>
    undefined;
  /** What it tells of its cluster; undefined: nothing. */
  topology: (connection: FakeConnection) => Uint8Array | undefined = () =>
    message([
      [1, 'fake'],
      [2, 1],
    ]);
  /** Whether connecting fails. */
  refuses: boolean | ((connection: FakeConnection) => boolean) = false;
  /** The ids that come next. */
  nextTuple = 1;
  nextSession = 7;
  readonly #results = new Map<string, { field: number; content: Uint8Array; tuples: number[] }>();
  readonly #fences = new Map<string, number>();
  #waiters: Waiter[] = [];

  constructor(clock: EngineClock) {
    this.clock = clock;
  }

  readonly connect = (events: ChannelEvents, address?: string): Channel => {
    const connection = new FakeConnection(this, events, address);
    this.connections.push(connection);
    const { refuses } = this;
    if (typeof refuses === 'boolean' ? refuses : refuses(connection))
      this.clock.soon(() => connection.break());
    return connection;
  };

  get last(): FakeConnection {
    const connection = this.connections.at(-1);
    if (connection === undefined) throw new Error('there is no connection');
    return connection;
  }

  /** The calls of one name. */
  named(name: string): SeenCall[] {
    return this.calls.filter((call) => call.name === name);
  }

  /** A tuple from nowhere. */
  put(bytes: TupleBytes): number {
    const id = this.nextTuple;
    this.nextTuple += 1;
    this.tuples.set(id, { id, bytes, deliveries: 0, handedTo: undefined });
    this.#match();
    return id;
  }

  gone(connection: FakeConnection): void {
    this.#waiters = this.#waiters.filter((waiter) => waiter.connection !== connection);
  }

  /** The topology was asked for. */
  toldOf(connection: FakeConnection): void {
    const content = this.topology(connection);
    if (content !== undefined) connection.answer(message([[2, content]]));
  }

  receive(connection: FakeConnection, call: SeenCall): void {
    this.calls.push(call);
    this.endSessions();
    const own = this.instead(call, connection);
    if (own === true) return;
    if (own !== undefined) {
      connection.answer(own);
      return;
    }
    if (call.identity !== undefined && !this.#admit(connection, call, call.identity)) return;
    this.#carryOut(connection, call);
  }

  /** Ends the sessions whose lease is over: what they did not acknowledge comes back. */
  endSessions(): void {
    for (const [id, session] of this.sessions) {
      if (session.endsAtMs > this.clock.nowMs()) continue;
      this.#end(id);
    }
  }

  #end(id: number): void {
    this.sessions.delete(id);
    this.#waiters = this.#waiters.filter((waiter) => waiter.call.identity?.session !== id);
    for (const tuple of this.tuples.values()) {
      if (tuple.handedTo?.startsWith(`${id}/`)) this.#giveBack(tuple);
    }
    this.#match();
  }

  #giveBack(tuple: Held): void {
    tuple.handedTo = undefined;
    tuple.deliveries += 1;
  }

  /** PROTOCOL §2: session, floor, fence; then an earlier result. False where nothing is to be done. */
  #admit(connection: FakeConnection, call: SeenCall, identity: Identity): boolean {
    const session = this.sessions.get(identity.session);
    if (session === undefined) {
      this.#send(connection, call, 2, status(9, 'SESSION_EXPIRED'));
      return false;
    }
    this.#raiseFloor(identity.session, session, identity.floor);
    if (identity.sequence < session.floor) return false;
    const key = `${identity.session}/${identity.sequence}`;
    const fence = this.#fences.get(key) ?? 0;
    if (identity.attempt <= fence) throw new Error(`attempt ${identity.attempt} came twice`);
    this.#fences.set(key, identity.attempt);
    this.#waiters = this.#waiters.filter(
      (waiter) =>
        waiter.call.identity?.session !== identity.session ||
        waiter.call.identity.sequence !== identity.sequence,
    );
    const result = this.#results.get(key);
    if (result === undefined) return true;
    const field = call.name === 'cancel_take' ? 11 : result.field;
    this.#send(connection, call, field, result.content);
    return false;
  }

  #raiseFloor(id: number, session: ServedSession, floor: number): void {
    if (floor <= session.floor) return;
    session.floor = floor;
    for (const tuple of this.tuples.values()) {
      const [owner, sequence] = (tuple.handedTo ?? '0/0').split('/').map(Number);
      if (owner === id && (sequence ?? 0) < floor) this.#giveBack(tuple);
    }
    this.clock.soon(() => this.#match());
  }

  #carryOut(connection: FakeConnection, call: SeenCall): void {
    switch (call.name) {
      case 'open_session': {
        const id = this.nextSession;
        this.nextSession += 1;
        this.sessions.set(id, { endsAtMs: this.clock.nowMs() + this.leaseMs, floor: 1 });
        const content = message([
          [1, id],
          [2, duration(this.leaseMs)],
        ]);
        this.#send(connection, call, 17, content);
        return;
      }
      case 'keep_session':
        this.#keep(connection, call);
        return;
      case 'close_session':
        this.#end(numberIn(call.fields, 1));
        this.#send(connection, call, 19, new Uint8Array());
        return;
      case 'acknowledge':
        this.#acknowledge(connection, call);
        return;
      case 'write':
        this.#write(connection, call);
        return;
      case 'take':
      case 'read':
        this.#wait(connection, call);
        return;
      case 'cancel_take':
        this.#finish(connection, call, 11, message([[1, 3]]), []);
        return;
      case 'end_call':
        this.#endCall(connection, numberIn(call.fields, 1));
        return;
      default:
        throw new Error(`the fake server has no ${call.name}`);
    }
  }

  #keep(connection: FakeConnection, call: SeenCall): void {
    const session = this.sessions.get(numberIn(call.fields, 1));
    if (session === undefined) {
      this.#send(connection, call, 2, status(9, 'SESSION_EXPIRED'));
      return;
    }
    session.endsAtMs = this.clock.nowMs() + this.leaseMs;
    this.#send(connection, call, 18, message([[1, duration(this.leaseMs)]]));
  }

  #acknowledge(connection: FakeConnection, call: SeenCall): void {
    const id = numberIn(call.fields, 1);
    const session = this.sessions.get(id);
    if (session === undefined) {
      this.#send(connection, call, 2, status(9, 'SESSION_EXPIRED'));
      return;
    }
    const receipts = (call.fields.get(3) ?? []).filter((each) => typeof each !== 'number');
    for (const bytes of receipts) {
      const receipt = fieldsOf(bytes);
      const tuple = this.tuples.get(numberIn(receipt, 2));
      if (tuple?.handedTo !== `${id}/${numberIn(receipt, 1)}`) continue;
      this.tuples.delete(tuple.id);
      this.received.push(tuple.id);
    }
    this.#raiseFloor(id, session, numberIn(call.fields, 2));
    this.#send(connection, call, 10, message(receipts.map((each) => [1, each] as const)));
  }

  #write(connection: FakeConnection, call: SeenCall): void {
    const tuple = bytesIn(call.fields, 3);
    if (tuple === undefined) throw new Error('a write has a tuple');
    const id = this.nextTuple;
    this.#finish(connection, call, 3, writtenAs(id), []);
    this.put(tuple as TupleBytes);
  }

  #wait(connection: FakeConnection, call: SeenCall): void {
    const compiled = compileTemplate(
      bytesIn(call.fields, call.name === 'take' ? 3 : 2) ?? new Uint8Array(),
    );
    if (isProblem(compiled)) throw new Error(compiled.message);
    const waiter = { connection, call, template: compiled };
    this.#waiters.push(waiter);
    this.#match();
    if (!this.#waiters.includes(waiter)) return;
    const wait = bytesIn(call.fields, call.name === 'take' ? 4 : 3);
    if (wait === undefined) return;
    this.clock.after(durationOf(wait), () => this.#leave(waiter, 2));
  }

  /** Ends a wait: outcome 2 is nothing, 3 is cancelled. */
  #leave(waiter: Waiter, outcome: number): void {
    if (!this.#waiters.includes(waiter)) return;
    this.#waiters = this.#waiters.filter((other) => other !== waiter);
    const { connection, call } = waiter;
    this.#finish(connection, call, call.request + 1, message([[1, outcome]]), []);
  }

  #endCall(connection: FakeConnection, callId: number): void {
    const waiter = this.#waiters.find(
      (each) => each.connection === connection && each.call.callId === callId,
    );
    if (waiter !== undefined) this.#leave(waiter, 3);
  }

  #match(): void {
    for (const waiter of [...this.#waiters]) {
      const { call, connection, template } = waiter;
      const tuple = [...this.tuples.values()].find(
        (each) => each.handedTo === undefined && matches(template, each.bytes),
      );
      if (tuple === undefined) continue;
      this.#waiters = this.#waiters.filter((other) => other !== waiter);
      if (call.name === 'take' && call.identity !== undefined) {
        tuple.handedTo = `${call.identity.session}/${call.identity.sequence}`;
      }
      const content = message([
        [1, 1],
        [2, stored(tuple.bytes, tuple.id, tuple.deliveries)],
      ]);
      this.#finish(connection, call, call.request + 1, content, [tuple.id]);
    }
  }

  #finish(
    connection: FakeConnection,
    call: SeenCall,
    field: number,
    content: Uint8Array,
    tuples: number[],
  ): void {
    const { identity } = call;
    const keeps = call.name === 'write' || tuples.length > 0;
    if (identity !== undefined && keeps) {
      this.#results.set(`${identity.session}/${identity.sequence}`, { field, content, tuples });
    }
    this.#send(connection, call, field, content);
  }

  #send(connection: FakeConnection, call: SeenCall, field: number, content: Uint8Array): void {
    if (!this.loses(call)) connection.answer(reply(call.callId, field, content));
  }
}

function matches(template: Template, bytes: TupleBytes): boolean {
  const offsets = new FieldOffsets();
  offsets.scan(bytes);
  return matchTuple(template, bytes, offsets);
}

/** A WriteResponse. */
export function writtenAs(id: number): Uint8Array {
  return message([
    [
      1,
      message([
        [1, id],
        [2, 1],
        [3, id],
      ]),
    ],
  ]);
}
