/** The checksum of what is on disk. */
import { crc32 } from 'node:zlib';

/** CRC-32 (IEEE 802.3), continued from a seed. */
export function hostChecksum(bytes: Uint8Array, seed: number): number {
  return crc32(bytes, seed);
}
