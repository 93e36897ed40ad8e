/** Administration: spaces. Unary calls, retried while the server says that it may help. */
import { decodeValue, encodeValue, Reader, Timestamp } from '@tuplet/proto';
import { readTimestamp } from './answers.ts';
import { BodyWriter, checked } from './body.ts';
import { type CallOptions, timeoutOf } from './options.ts';
import { fromStored, toStored, type Value, type Writable } from './value.ts';

const LENGTH_1 = 0x0a;
const LENGTH_3 = 0x1a;
const LENGTH_4 = 0x22;
const LENGTH_5 = 0x2a;
const LENGTH_6 = 0x32;
const VARINT_2 = 0x10;
const VARINT_3 = 0x18;

const service = '/tuplet.v1.AdminService/';

/** Spreads the tuples of one tag over several slots (SPEC §6). */
export interface RoutingRule {
  /** The tag: the first field of the tuples it is for. */
  readonly tag: Writable;
  /** Over how many slots, 2 to 4,096. */
  readonly spread: number;
  /** The positions of the 1 to 8 fields that choose among them, each from 1 to 63. */
  readonly fields: readonly number[];
}

/** What a space is created with. */
export interface SpaceSettings {
  /** Routing rules, at most one for each tag, 64 in all; default none. Not with `like`. */
  readonly rules?: readonly RoutingRule[];
  /** The name of a space whose routing this one shares; default its own. */
  readonly like?: string;
  /** The largest encoded tuple, in bytes; default 1 MiB, at most 3 MiB. */
  readonly tupleBytesMax?: number;
}

/** A space. */
export interface SpaceDescription {
  readonly name: string;
  /** Never reused. */
  readonly id: number;
  /** The epoch of the cluster map that the answer was read from. */
  readonly mapEpoch: number;
  /** The name that routing hashes. */
  readonly routingName: string;
  /** The routing rules in force. */
  readonly rules: readonly (RoutingRule & { readonly tag: Value })[];
  /** The largest encoded tuple, in bytes; 0: the default. */
  readonly tupleBytesMax: number;
  readonly createdAt: Timestamp;
}

/** What administration needs of the shell: a unary call, retried until `timeoutMs` is over. */
export type UnaryCall = (
  path: string,
  request: Uint8Array,
  options: { readonly timeoutMs: number; readonly signal: AbortSignal | undefined },
) => Promise<Uint8Array>;

/** Creates, lists, describes and drops spaces. */
export class Admin {
  readonly #unary: UnaryCall;
  readonly #bodies = new BodyWriter();

  /** Made by `connect`. */
  constructor(unary: UnaryCall) {
    this.#unary = unary;
  }

  /** Creates a space; ALREADY_EXISTS where the name is taken. Its routing is fixed from then on. */
  async createSpace(
    name: string,
    settings: SpaceSettings = {},
    options?: CallOptions,
  ): Promise<SpaceDescription> {
    const request = checked(() =>
      this.#bodies
        .begin()
        .string(1, name)
        .message(2, (body) => writeSettings(body, settings))
        .finish(),
    );
    return readOneSpace(await this.#call('CreateSpace', request, options));
  }

  /** All spaces, by name. */
  async listSpaces(options?: CallOptions): Promise<SpaceDescription[]> {
    return readSpaces(await this.#call('ListSpaces', new Uint8Array(), options));
  }

  /** One space; NOT_FOUND where there is none of this name. */
  async describeSpace(name: string, options?: CallOptions): Promise<SpaceDescription> {
    const request = checked(() => this.#bodies.begin().string(1, name).finish());
    return readOneSpace(await this.#call('DescribeSpace', request, options));
  }

  /** Drops a space with all its tuples. */
  async dropSpace(name: string, options?: CallOptions): Promise<void> {
    const request = checked(() => this.#bodies.begin().string(1, name).finish());
    await this.#call('DropSpace', request, options);
  }

  #call(
    method: string,
    request: Uint8Array,
    options: CallOptions | undefined,
  ): Promise<Uint8Array> {
    const timeoutMs = timeoutOf(options);
    return this.#unary(service + method, request, { timeoutMs, signal: options?.signal });
  }
}

function writeSettings(body: BodyWriter, settings: SpaceSettings): void {
  for (const rule of settings.rules ?? []) {
    const tag = encodeValue(toStored(rule.tag));
    body.message(1, (inner) => {
      inner.bytes(1, tag).number(2, rule.spread);
      for (const field of rule.fields) inner.number(3, field);
    });
  }
  body.string(2, settings.like ?? '').number(3, settings.tupleBytesMax);
}

function readSpaces(bytes: Uint8Array): SpaceDescription[] {
  const reader = new Reader(bytes);
  const spaces: Omit<SpaceDescription, 'mapEpoch'>[] = [];
  let mapEpoch = 0;
  while (reader.position < bytes.length) {
    const tag = reader.tag();
    if (tag === LENGTH_1) spaces.push(readSpace(reader));
    else if (tag === VARINT_2) mapEpoch = reader.uint64();
    else reader.skip(tag);
  }
  return spaces.map((space) => ({ ...space, mapEpoch }));
}

function readOneSpace(bytes: Uint8Array): SpaceDescription {
  const space = readSpaces(bytes)[0];
  if (space === undefined) throw new TypeError('the server described no space');
  return space;
}

function readSpace(reader: Reader): Omit<SpaceDescription, 'mapEpoch'> {
  const end = reader.length() + reader.position;
  let name = '';
  let id = 0;
  let routingName = '';
  let tupleBytesMax = 0;
  let createdAt = new Timestamp(0);
  const rules: (RoutingRule & { readonly tag: Value })[] = [];
  while (reader.position < end) {
    const tag = reader.tag();
    if (tag === LENGTH_1) name = reader.string();
    else if (tag === VARINT_2) id = reader.uint32();
    else if (tag === LENGTH_3) tupleBytesMax = readTupleBytesMax(reader);
    else if (tag === LENGTH_4) routingName = reader.string();
    else if (tag === LENGTH_5) rules.push(readRule(reader));
    else if (tag === LENGTH_6) createdAt = readTimestamp(reader);
    else reader.skip(tag);
  }
  return { name, id, routingName, rules, tupleBytesMax, createdAt };
}

function readTupleBytesMax(reader: Reader): number {
  const end = reader.length() + reader.position;
  let tupleBytesMax = 0;
  while (reader.position < end) {
    const tag = reader.tag();
    if (tag === VARINT_3) tupleBytesMax = reader.uint32();
    else reader.skip(tag);
  }
  return tupleBytesMax;
}

function readRule(reader: Reader): RoutingRule & { readonly tag: Value } {
  const end = reader.length() + reader.position;
  let tagValue: Value = null;
  let spread = 0;
  const fields: number[] = [];
  while (reader.position < end) {
    const tag = reader.tag();
    if (tag === LENGTH_1) tagValue = fromStored(decodeValue(reader.lengthDelimited()));
    else if (tag === VARINT_2) spread = reader.uint32();
    else if (tag === VARINT_3) fields.push(reader.uint32());
    else if (tag === LENGTH_3) {
      const packed = reader.length() + reader.position;
      while (reader.position < packed) fields.push(reader.uint32());
    } else reader.skip(tag);
  }
  return { tag: tagValue, spread, fields };
}
