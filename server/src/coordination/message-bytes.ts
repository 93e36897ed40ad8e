/** How much memory a message holds while it waits. */
import type { Change, ToLeader } from './messages.ts';

/** Bytes that a message holds besides its tuples: its objects, a compiled template. */
const overheadBytes = 512;

/** Bytes of a message, about. */
export function messageBytes(message: ToLeader): number {
  return message.kind === 'mutate' ? changeBytes(message.change) : overheadBytes;
}

/** Bytes of a change, about. */
export function changeBytes(change: Change): number {
  let bytes = overheadBytes;
  if (change.kind === 'write') for (const tuple of change.tuples) bytes += tuple.bytes.length;
  else if (change.kind === 'write-if-absent') bytes += change.tuple.bytes.length;
  else if (change.kind === 'replace') bytes += change.bytes.length;
  return bytes;
}
