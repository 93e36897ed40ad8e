import { build, type Histogram } from 'hdr-histogram-js';

/** Latencies in microseconds, HDR: 3 significant digits up to a minute. */
export class Latency {
  readonly #histogram: Histogram = build({
    lowestDiscernibleValue: 1,
    highestTrackableValue: 60_000_000,
    numberOfSignificantValueDigits: 3,
    useWebAssembly: false,
  });

  record(ms: number): void {
    this.#histogram.recordValue(Math.max(1, Math.min(60_000_000, Math.round(ms * 1000))));
  }

  /** Milliseconds below which `percent` of the values lie. */
  percentile(percent: number): number {
    return this.#histogram.getValueAtPercentile(percent) / 1000;
  }

  get maxMs(): number {
    return this.#histogram.maxValue / 1000;
  }

  get count(): number {
    return this.#histogram.totalCount;
  }
}

/** The middle value; of an even number the lower middle. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted[Math.floor((sorted.length - 1) / 2)];
  if (middle === undefined) throw new Error('no values');
  return middle;
}
