import type { PartitionId } from '../base/ids.ts';
import { holdMsMax } from '../base/limits.ts';

/** What it needs of the router. */
export interface PressureGauge {
  /** Whether a partition takes new work gladly. */
  ready(partition: PartitionId): boolean;
}

/**
 * Whether one stream may begin more calls: not while a partition that one of them went to has more
 * than it wants, so that the stream's sender is slowed before anybody is refused. It is never held for
 * longer than `holdMsMax`, since keep-alives of its sessions wait in it too: after that its calls go on,
 * and a partition that is still overloaded refuses them.
 */
export class BackPressure {
  readonly #gauge: PressureGauge;
  readonly #nowMs: () => number;
  #partition: PartitionId | undefined;
  #untilMs = 0;

  constructor(gauge: PressureGauge, nowMs: () => number) {
    this.#gauge = gauge;
    this.#nowMs = nowMs;
  }

  /** A call went to a partition that has more than it wants. */
  met(partition: PartitionId): void {
    if (this.#partition !== undefined) return;
    this.#partition = partition;
    this.#untilMs = this.#nowMs() + holdMsMax;
  }

  /** Whether the next call has to wait. */
  get holds(): boolean {
    if (this.#partition === undefined) return false;
    if (this.#gauge.ready(this.#partition)) {
      this.#partition = undefined;
      return false;
    }
    return this.#nowMs() < this.#untilMs;
  }
}
