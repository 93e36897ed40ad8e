import { clientLimits } from './limits.ts';

/** That a tuple of a take has arrived. */
export interface Receipt {
  readonly sequence: number;
  readonly tupleId: number;
}

/** Receipts that went out together. */
export interface ReceiptBatch {
  readonly receipts: readonly Receipt[];
  readonly sentAtMs: number;
}

/**
 * Receipts of one session on their way: sent with the next batch, and again until the partition
 * says that it has logged them (K3). Whether one is confirmed is the owner's to know.
 */
export class Receipts {
  #pending: Receipt[] = [];
  #later: { readonly receipts: readonly Receipt[]; readonly atMs: number }[] = [];
  readonly #inFlight: ReceiptBatch[] = [];

  /** Queues a receipt for the next batch. */
  add(receipt: Receipt): void {
    this.#pending.push(receipt);
  }

  /** Whether some are to be sent now. */
  get isDue(): boolean {
    return this.#pending.length > 0;
  }

  /** The first to be sent now of those that still matter, after dropping the others. */
  first(matters: (receipt: Receipt) => boolean): Receipt | undefined {
    this.#pending = this.#pending.filter(matters);
    return this.#pending[0];
  }

  /** Up to 1,000 to be sent now, of those that go the same way. */
  send(nowMs: number, goes: (receipt: Receipt) => boolean): ReceiptBatch {
    const receipts: Receipt[] = [];
    const rest: Receipt[] = [];
    for (const receipt of this.#pending) {
      const hasPlace = receipts.length < clientLimits.receiptsPerCallMax;
      (hasPlace && goes(receipt) ? receipts : rest).push(receipt);
    }
    this.#pending = rest;
    const batch = { receipts, sentAtMs: nowMs };
    this.#inFlight.push(batch);
    return batch;
  }

  /** The batch was answered: what was not confirmed comes again after a pause. */
  answered(batch: ReceiptBatch, nowMs: number, matters: (receipt: Receipt) => boolean): void {
    if (!this.#drop(batch)) return;
    const rest = batch.receipts.filter(matters);
    if (rest.length > 0) {
      this.#later.push({ receipts: rest, atMs: nowMs + clientLimits.receiptRepeatMs });
    }
  }

  /** The batch's connection broke: all of it comes again at once. */
  lost(batch: ReceiptBatch): void {
    if (this.#drop(batch)) this.#pending.push(...batch.receipts);
  }

  /** Makes due what has waited long enough, answered or not. */
  repeat(nowMs: number): void {
    for (const batch of [...this.#inFlight]) {
      if (batch.sentAtMs + clientLimits.receiptRepeatMs <= nowMs) this.lost(batch);
    }
    const later = this.#later;
    this.#later = [];
    for (const entry of later) {
      if (entry.atMs <= nowMs) this.#pending.push(...entry.receipts);
      else this.#later.push(entry);
    }
  }

  /** Takes a batch out of flight; whether it was there. There are few. */
  #drop(batch: ReceiptBatch): boolean {
    const at = this.#inFlight.indexOf(batch);
    if (at >= 0) this.#inFlight.splice(at, 1);
    return at >= 0;
  }

  /** When `repeat` has something to do next. */
  nextAtMs(): number {
    let atMs = Number.POSITIVE_INFINITY;
    for (const batch of this.#inFlight) {
      atMs = Math.min(atMs, batch.sentAtMs + clientLimits.receiptRepeatMs);
    }
    for (const entry of this.#later) atMs = Math.min(atMs, entry.atMs);
    return atMs;
  }
}
