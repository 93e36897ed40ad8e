/** The server's side of the envelope, written from the contract, for the fake server. */
import { Reader, WireType, Writer } from '@tuplet/proto';

/** The names of Call's and Reply's fields, by the number in Call. */
const names = new Map<number, string>([
  [2, 'write'],
  [3, 'write_many'],
  [4, 'write_if_absent'],
  [5, 'read'],
  [6, 'read_many'],
  [7, 'take'],
  [8, 'take_many'],
  [9, 'acknowledge'],
  [10, 'cancel_take'],
  [11, 'replace'],
  [12, 'increment'],
  [13, 'count'],
  [14, 'renew'],
  [15, 'cancel'],
  [16, 'open_session'],
  [17, 'keep_session'],
  [18, 'close_session'],
  [19, 'end_call'],
]);

/** The fields of a message: varints as numbers, the rest as bytes; repeated ones in order. */
export type Fields = ReadonlyMap<number, readonly (number | Uint8Array)[]>;

/** Reads a message whose fields are varints and length-delimited. */
export function fieldsOf(bytes: Uint8Array): Fields {
  const reader = new Reader(bytes);
  const fields = new Map<number, (number | Uint8Array)[]>();
  while (reader.position < bytes.length) {
    const tag = reader.tag();
    const values = fields.get(tag >>> 3) ?? [];
    fields.set(tag >>> 3, values);
    if ((tag & 7) === WireType.VARINT) values.push(reader.uint64());
    else if ((tag & 7) === WireType.LENGTH) values.push(reader.lengthDelimited().slice());
    else throw new Error(`wire type ${tag & 7}`);
  }
  return fields;
}

export function numberIn(fields: Fields, field: number): number {
  const value = fields.get(field)?.[0] ?? 0;
  if (typeof value !== 'number') throw new Error(`field ${field} is no number`);
  return value;
}

export function bytesIn(fields: Fields, field: number): Uint8Array | undefined {
  const value = fields.get(field)?.[0];
  if (typeof value === 'number') throw new Error(`field ${field} is no message`);
  return value;
}

export function durationOf(bytes: Uint8Array): number {
  const fields = fieldsOf(bytes);
  return numberIn(fields, 1) * 1_000 + numberIn(fields, 2) / 1_000_000;
}

/** Who asks, as the server sees it. */
export interface Identity {
  readonly session: number;
  readonly sequence: number;
  readonly attempt: number;
  readonly floor: number;
}

/** One call as the server sees it. */
export interface SeenCall {
  readonly callId: number;
  readonly name: string;
  readonly request: number;
  readonly fields: Fields;
  readonly identity: Identity | undefined;
}

function identityOf(name: string, fields: Fields): Identity | undefined {
  const sessionless = ['read', 'read_many', 'count', 'acknowledge', 'open_session'];
  if (sessionless.includes(name) || name.endsWith('_session') || name === 'end_call') {
    return undefined;
  }
  const operation = bytesIn(fields, 2);
  if (operation === undefined) return undefined;
  const inner = name === 'cancel_take' ? operation : bytesIn(fieldsOf(operation), 1);
  if (inner === undefined) return undefined;
  const identity = fieldsOf(inner);
  return {
    session: numberIn(identity, 1),
    sequence: numberIn(identity, 2),
    attempt: numberIn(identity, 3),
    floor: numberIn(identity, 4),
  };
}

/** The calls of an ExchangeRequest. */
export function readCalls(bytes: Uint8Array): SeenCall[] {
  const calls: SeenCall[] = [];
  for (const call of fieldsOf(bytes).get(1) ?? []) {
    if (typeof call === 'number') throw new Error('a call is a message');
    const outer = fieldsOf(call);
    const request = [...outer.keys()].find((field) => field !== 1);
    const name = request === undefined ? undefined : names.get(request);
    if (request === undefined || name === undefined) throw new Error('a call has a request');
    const fields = fieldsOf(bytesIn(outer, request) ?? new Uint8Array());
    const identity = identityOf(name, fields);
    calls.push({ callId: numberIn(outer, 1), name, request, fields, identity });
  }
  return calls;
}

/** A message of varints and length-delimited fields, those with undefined left out. */
export function message(
  fields: readonly (readonly [number, number | Uint8Array | string | undefined])[],
): Uint8Array {
  const writer = new Writer();
  for (const [field, value] of fields) {
    if (value === undefined) continue;
    if (typeof value === 'number') {
      writer.tag(field, WireType.VARINT);
      writer.uint64(value);
    } else {
      writer.tag(field, WireType.LENGTH);
      if (typeof value === 'string') writer.string(value);
      else writer.lengthDelimited(value);
    }
  }
  return writer.finish();
}

/** A Duration. */
export function duration(ms: number): Uint8Array {
  return message([
    [1, Math.floor(ms / 1_000)],
    [2, (ms % 1_000) * 1_000_000],
  ]);
}

/** An ExchangeResponse of one reply. */
export function reply(callId: number, field: number, content: Uint8Array): Uint8Array {
  return message([
    [
      1,
      message([
        [1, callId],
        [field, content],
      ]),
    ],
  ]);
}

/** A google.rpc.Status with ErrorInfo and, if asked, RetryInfo. */
export function status(code: number, reason: string, retryAfterMs?: number): Uint8Array {
  const any = (type: string, value: Uint8Array): Uint8Array =>
    message([
      [1, `type.googleapis.com/google.rpc.${type}`],
      [2, value],
    ]);
  const info = message([
    [1, reason],
    [2, 'tuplet.dev'],
  ]);
  return message([
    [1, code],
    [2, reason.toLowerCase()],
    [3, any('ErrorInfo', info)],
    [
      3,
      retryAfterMs === undefined
        ? undefined
        : any('RetryInfo', message([[1, duration(retryAfterMs)]])),
    ],
  ]);
}

/** A StoredTuple. */
export function stored(tuple: Uint8Array, tupleId: number, deliveries = 0): Uint8Array {
  return message([
    [1, tuple],
    [2, tupleId],
    [3, 1],
    [4, tupleId],
    [5, deliveries],
  ]);
}
