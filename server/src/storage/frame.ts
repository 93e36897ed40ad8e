/**
 * Frames: what one write to the log carries. Layout in DESIGN.md; numbers are little-endian, those of
 * eight bytes two halves of 32 bits, because BigInt costs several times as much.
 */
import { assert } from '../base/assert.ts';
import type { Checksum } from './entry.ts';

/** Bytes of a frame before its body. */
export const frameHeaderBytes = 32;
/** Frames begin at multiples of this many bytes. */
export const frameAlignBytes = 8;

/** The first four bytes of a frame: `TLF1`. */
const frameMagic = 0x31464c54;
/** The CRC covers everything from here on. */
const coveredFrom = 8;

const two32 = 2 ** 32;

/** Writes a safe integer of 0 or more as eight bytes. */
export function putInteger(view: DataView, offset: number, value: number): void {
  view.setUint32(offset, value >>> 0, true);
  view.setUint32(offset + 4, Math.floor(value / two32), true);
}

/** Reads what `putInteger` wrote. */
export function getInteger(view: DataView, offset: number): number {
  return view.getUint32(offset, true) + view.getUint32(offset + 4, true) * two32;
}

/** Where a frame stands in the log; what its header says besides its body. */
export interface FrameHeader {
  readonly sequence: number;
  /** The CRC of the frame before; 0 before the first. */
  readonly previous: number;
  /** All frames up to this sequence were durable when this one was closed. */
  readonly durable: number;
}

/** A frame found in a segment. */
export interface FoundFrame extends FrameHeader {
  readonly crc: number;
  /** Where the body lies in the segment. */
  readonly bodyFrom: number;
  readonly bodyTo: number;
  /** Where the next frame begins. */
  readonly end: number;
}

/** The CRC's seed for frames of one segment: frames of another are not frames here. */
export function seedOf(salt: number, segment: number): number {
  return (salt ^ Math.imul(segment, 0x9e3779b1)) >>> 0;
}

/** The next multiple of `frameAlignBytes`. */
export function aligned(bytes: number): number {
  return Math.ceil(bytes / frameAlignBytes) * frameAlignBytes;
}

/**
 * Closes a frame in place: `bytes` is the whole frame, header and body, its length a multiple of
 * `frameAlignBytes`. Returns its CRC.
 */
export function sealFrame(
  bytes: Uint8Array,
  header: FrameHeader,
  checksum: Checksum,
  seed: number,
): number {
  assert(bytes.length % frameAlignBytes === 0, 'a frame ends where the next may begin');
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  view.setUint32(0, frameMagic, true);
  view.setUint32(8, bytes.length - frameHeaderBytes, true);
  view.setUint32(12, header.previous, true);
  putInteger(view, 16, header.sequence);
  putInteger(view, 24, header.durable);
  const crc = checksum(bytes.subarray(coveredFrom), seed);
  view.setUint32(4, crc, true);
  return crc;
}

/** The frame at an offset of a segment, if a whole and unharmed one is there. */
export function frameAt(
  segment: Uint8Array,
  view: DataView,
  offset: number,
  checksum: Checksum,
  seed: number,
): FoundFrame | undefined {
  if (offset + frameHeaderBytes > segment.length) return undefined;
  if (view.getUint32(offset, true) !== frameMagic) return undefined;
  const bodyBytes = view.getUint32(offset + 8, true);
  const end = offset + frameHeaderBytes + bodyBytes;
  if (bodyBytes % frameAlignBytes !== 0 || end > segment.length) return undefined;
  const crc = view.getUint32(offset + 4, true);
  if (checksum(segment.subarray(offset + coveredFrom, end), seed) !== crc) return undefined;
  return {
    sequence: getInteger(view, offset + 16),
    previous: view.getUint32(offset + 12, true),
    durable: getInteger(view, offset + 24),
    crc,
    bodyFrom: offset + frameHeaderBytes,
    bodyTo: end,
    end,
  };
}
