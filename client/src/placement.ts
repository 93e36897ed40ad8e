import {
  compileTemplate,
  DecodeError,
  FieldOffsets,
  isProblem,
  partitionOfId,
  partitionOfSlot,
  Reader,
  type Routing,
  type TupleBytes,
} from '@tuplet/proto';
import type { CallKind } from './engine/calls.ts';
import type { Body } from './engine/operation.ts';

const offsets = new FieldOffsets();

/** How a space spreads its tuples over partitions. */
export class Placement {
  readonly #routing: Routing;
  readonly #partitions: number;

  /** `partitions`: how many the cluster has. */
  constructor(routing: Routing, partitions: number) {
    this.#routing = routing;
    this.#partitions = partitions;
  }

  /**
   * The partition that a request is for, from 1; 0 where it may be several. Of many tuples the first one
   * decides. All of it is in the first field of the body, but for the space.
   */
  partitionOf(kind: CallKind, body: Body): number {
    const reader = new Reader(body.bytes, body.start, body.end);
    try {
      switch (kind.name) {
        case 'renew':
        case 'cancel':
          return this.#ofId(reader);
        case 'write':
        case 'write_if_absent':
          return this.#ofTuple(reader);
        case 'write_many':
          enter(reader);
          return this.#ofTuple(reader);
        case 'replace':
          return body.templateEnd > body.start ? this.#ofTemplate(reader) : this.#ofVersion(reader);
        default:
          return body.templateEnd > body.start ? this.#ofTemplate(reader) : 0;
      }
    } catch (error) {
      // The server says what is wrong with it.
      if (error instanceof DecodeError) return 0;
      throw error;
    }
  }

  #ofId(reader: Reader): number {
    reader.tag();
    return partitionOfId(reader.uint64());
  }

  #ofVersion(reader: Reader): number {
    enter(reader);
    return this.#ofId(reader);
  }

  #ofTuple(reader: Reader): number {
    const end = enter(reader);
    const tuple = reader.bytes.subarray(reader.position, end) as TupleBytes;
    return this.#ofSlot(this.#routing.slotOfTuple(tuple, offsets.scan(tuple)));
  }

  #ofTemplate(reader: Reader): number {
    const end = enter(reader);
    const template = compileTemplate(reader.bytes, reader.position, end);
    if (isProblem(template)) return 0;
    const where = this.#routing.slotsOfTemplate(template);
    return where.kind === 'pinned' ? this.#ofSlot(where.slot) : 0;
  }

  #ofSlot(slot: number): number {
    return 1 + partitionOfSlot(slot, this.#partitions);
  }
}

/** Goes into the field that comes next; returns where it ends. */
function enter(reader: Reader): number {
  reader.tag();
  return reader.length() + reader.position;
}
