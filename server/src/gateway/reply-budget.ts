/** How many calls whose replies hold tuples one stream may have running, so that these fit memory. */
import { NumberMap } from '@tuplet/proto';
import type { Answer } from '../router/request.ts';
import type { RouterCall } from './decode.ts';

/** Bytes of a reply, or of a tuple in it, besides the tuple's own. */
export const replyOverheadBytes = 64;

/** Calls running at first, before the size of their replies is known; and at least. */
const callsAtFirst = 64;
/** Calls running at least, whatever their replies weigh. */
const callsMin = 8;
/** Calls running at most: what comes back at once even if it is suddenly large. */
const callsMax = 256;
/** What is left of the expected size with each reply that is smaller. */
const decay = 0.95;
/** Milliseconds after which a call that was not answered is known to wait. */
export const parkMs = 20;

/**
 * Counts the calls that may be answered with tuples at any moment. A call that blocks leaves the count
 * once it has been silent for a while: thousands may wait, and it is their writers who answer them.
 */
export class ReplyBudget {
  readonly #bytesTarget: number;
  /** When each began; Infinity for one that does not wait. */
  readonly #running: NumberMap<number> = new NumberMap();
  /** The size that the next replies may have: falls slowly, rises at once. */
  #expectedBytes: number;

  /** `bytesTarget`: what the replies of all running calls together should weigh. */
  constructor(bytesTarget: number) {
    this.#bytesTarget = bytesTarget;
    this.#expectedBytes = bytesTarget / callsAtFirst;
  }

  /** Whether one more may begin. */
  get hasRoom(): boolean {
    const wanted = Math.floor(this.#bytesTarget / this.#expectedBytes);
    return this.#running.size < Math.min(callsMax, Math.max(callsMin, wanted));
  }

  /** A call begins. */
  begin(callId: number, waits: boolean, nowMs: number): void {
    this.#running.set(callId, waits ? nowMs : Number.POSITIVE_INFINITY);
  }

  /** A call was answered; `bytes` of tuples, 0 for none. */
  end(callId: number, bytes: number): void {
    this.#running.delete(callId);
    this.#expectedBytes = Math.max(bytes, replyOverheadBytes, this.#expectedBytes * decay);
  }

  /** Takes calls that wait out of the count, once they have been silent long enough. */
  park(nowMs: number): void {
    for (const callId of this.#running.keys()) {
      const sinceMs = this.#running.get(callId) ?? Number.POSITIVE_INFINITY;
      if (nowMs - sinceMs >= parkMs) this.#running.delete(callId);
    }
  }
}

/** Whether a call's reply may hold tuples. */
export function repliesTuples({ kind }: RouterCall): boolean {
  switch (kind) {
    case 'read':
    case 'readMany':
    case 'take':
    case 'takeMany':
    case 'cancelTake':
    case 'replace':
    case 'increment':
      return true;
    default:
      return false;
  }
}

/** Whether a call may wait. */
export function mayWait(call: RouterCall): boolean {
  switch (call.kind) {
    case 'read':
    case 'readMany':
    case 'take':
    case 'takeMany': {
      const { wait } = call.value;
      return wait === null || wait.seconds > 0 || wait.nanos > 0;
    }
    default:
      return false;
  }
}

/** About the bytes that an answer's tuples take in its reply. */
export function tupleBytesOf(answer: Answer): number {
  switch (answer.kind) {
    case 'found': {
      let bytes = 0;
      for (const tuple of answer.tuples) bytes += tuple.bytes.length + replyOverheadBytes;
      return bytes;
    }
    case 'replaced': {
      const { old, new: form } = answer.change ?? {};
      return Math.max(old?.bytes.length ?? 0, form?.bytes.length ?? 0);
    }
    case 'outcomes':
      return answer.outcomes.length * replyOverheadBytes;
    default:
      return 0;
  }
}
