/** What the round and its processes tell each other. */
import type { EventKindJson } from '../sim/check/history.ts';
import type { TemplateJson } from '../sim/check/values.ts';

/** How a client process is started. */
export interface ClientSettings {
  readonly kind: 'client';
  /** Names all servers, beginning with the one to use first. */
  readonly url: string;
  /** Its file of the history. */
  readonly path: string;
  readonly name: string;
  /** Tells the processes of a round apart, from 1. */
  readonly ordinal: number;
  readonly seed: number;
  readonly sessionLeaseMs: number;
}

/** One notification. */
export interface StreamSettings {
  /** Its file; another process that wrote it before is continued. */
  readonly path: string;
  /** The id of its operation. */
  readonly id: number;
  readonly process: string;
  readonly space: string;
  readonly template: TemplateJson | null;
  readonly kinds: readonly EventKindJson[];
  readonly observer: boolean;
}

/** How a process that watches is started. */
export interface WatcherSettings {
  readonly kind: 'watcher';
  /** Names all servers, beginning with the one to use first. */
  readonly url: string;
  readonly streams: readonly StreamSettings[];
}

/** The round to its processes: `drain`: begin nothing more; `finish`: end. */
export type Order = 'drain' | 'finish';

/**
 * A process to its round: `ready`: it works; `progress`: operations that have succeeded so far;
 * `drained`: nothing is open but what waits for ever;
 * `failed`: it met what must not be.
 */
export type Told =
  | { readonly kind: 'ready' }
  | { readonly kind: 'progress'; readonly ok: number }
  | { readonly kind: 'drained' }
  | { readonly kind: 'failed'; readonly message: string };
