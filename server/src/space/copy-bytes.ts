/** Up to this many bytes a loop beats making a view and calling into the runtime (measured, Node 20). */
export const loopBytesMax = 128;

/** Copies `start` to `end` of `source` to `at` of `target`; they do not overlap. */
export function copyBytes(
  source: Uint8Array,
  start: number,
  end: number,
  target: Uint8Array,
  at: number,
): void {
  if (end - start > loopBytesMax) {
    target.set(source.subarray(start, end), at);
    return;
  }
  const shift = at - start;
  let i = start;
  // Eight at a time takes two thirds of the time of one at a time.
  for (const last = end - 7; i < last; i += 8) {
    const to = i + shift;
    target[to] = source[i] as number;
    target[to + 1] = source[i + 1] as number;
    target[to + 2] = source[i + 2] as number;
    target[to + 3] = source[i + 3] as number;
    target[to + 4] = source[i + 4] as number;
    target[to + 5] = source[i + 5] as number;
    target[to + 6] = source[i + 6] as number;
    target[to + 7] = source[i + 7] as number;
  }
  for (; i < end; i += 1) target[i + shift] = source[i] as number;
}

/** As `copyBytes` by a loop, but whole words of four bytes: up to three bytes after `end` are copied too. */
export function copyWords(
  source: DataView,
  start: number,
  end: number,
  target: DataView,
  at: number,
): void {
  const shift = at - start;
  for (let i = start; i < end; i += 4) target.setInt32(i + shift, source.getInt32(i, true), true);
}
