/** Seconds and nanoseconds, as `google.protobuf.Duration` and `Timestamp` hold them. */
export interface SecondsAndNanos {
  readonly seconds: number;
  readonly nanos: number;
}

/**
 * A duration of so many milliseconds, a fraction included, of either sign; both parts have the same
 * sign, as protobuf asks.
 */
export function durationOfMs(milliseconds: number): SecondsAndNanos {
  const seconds = Math.trunc(milliseconds / 1_000);
  const nanos = Math.round((milliseconds - seconds * 1_000) * 1_000_000);
  if (Math.abs(nanos) < 1_000_000_000) return { seconds: seconds + 0, nanos: nanos + 0 };
  return { seconds: seconds + Math.sign(nanos), nanos: 0 };
}

/** Milliseconds of a duration, with a fraction. */
export function msOfDuration(duration: SecondsAndNanos): number {
  return duration.seconds * 1_000 + duration.nanos / 1_000_000;
}

/** The timestamp of so many milliseconds since 1970; nanos are never negative. */
export function timestampOfMs(milliseconds: number): SecondsAndNanos {
  const seconds = Math.floor(milliseconds / 1_000);
  const nanos = Math.round((milliseconds - seconds * 1_000) * 1_000_000);
  return nanos === 1_000_000_000 ? { seconds: seconds + 1, nanos: 0 } : { seconds, nanos };
}

/** Milliseconds since 1970 of a timestamp, with a fraction. */
export function msOfTimestamp(timestamp: SecondsAndNanos): number {
  return timestamp.seconds * 1_000 + timestamp.nanos / 1_000_000;
}
