/** Up to this many bytes a loop beats making a view and calling into the runtime (measured, Node 20). */
const loopBytesMax = 128;

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
  for (let i = start; i < end; i += 1) target[i + shift] = source[i] as number;
}
