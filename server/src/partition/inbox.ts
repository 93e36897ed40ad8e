import { messageBytes } from '../coordination/message-bytes.ts';
import type { CoordinatorId, ToLeader } from '../coordination/messages.ts';
import { Fifo } from './fifo.ts';

/** One message that waits for a turn; without a message, the news that the coordinator is gone. */
interface Waiting {
  readonly from: CoordinatorId;
  readonly message: ToLeader | undefined;
  readonly bytes: number;
}

/** What all inboxes of a host hold together. */
export interface InboxTotal {
  bytes: number;
}

/** What waits for one partition's leader, in order of arrival. */
export class Inbox {
  readonly #waiting = new Fifo<Waiting>();
  readonly #total: InboxTotal;

  constructor(total: InboxTotal) {
    this.#total = total;
  }

  get size(): number {
    return this.#waiting.size;
  }

  push(from: CoordinatorId, message: ToLeader | undefined): void {
    const bytes = message === undefined ? 0 : messageBytes(message);
    this.#total.bytes += bytes;
    this.#waiting.push({ from, message, bytes });
  }

  shift(): Waiting | undefined {
    const item = this.#waiting.shift();
    if (item !== undefined) this.#total.bytes -= item.bytes;
    return item;
  }
}

/**
 * Whether a message begins work, so that it may be refused for want of room. Everything else
 * belongs to work that was admitted: refusing a second sending could call undone what the first did.
 */
export function beginsWork(message: ToLeader): boolean {
  switch (message.kind) {
    case 'take':
      return message.m === 1 && message.operation.attempt === 1;
    case 'register':
      return message.r === 1 && message.operation.attempt === 1;
    case 'mutate': {
      const { operation } = message;
      if (message.m !== 1) return false;
      return operation?.kind !== 'session' || operation.attempt === 1;
    }
    case 'read':
      return message.m === 1;
    case 'count':
    case 'open-session':
      return true;
    default:
      return false;
  }
}

/** The number of a sending, which its refusal carries; 0 where the kind has none. */
export function sendingOf(message: ToLeader): number {
  if ('m' in message) return message.m;
  return 'r' in message ? message.r : 0;
}
