/**
 * The four doors to the world. Core and shell reach clock, randomness, disk and network only
 * through them, so that the simulator can hold them all. `host/` has the real ones, `sim/` the
 * simulated ones.
 */

/** Cancels what it was given for; calling it again does nothing. */
export type Cancel = () => void;

/** Time. Owned by the host; read by the shell and handed to the core as numbers. */
export interface Clock {
  /** Monotonic milliseconds with a fraction; the origin means nothing. */
  monotonicMs(): number;
  /** Milliseconds since 1970, UTC, as the operating system believes; may jump. */
  wallMs(): number;
  /** Calls `run` once after `delayMs` (0 or more) of monotonic time. */
  after(delayMs: number, run: () => void): Cancel;
  /** Calls `run` when the events already queued have been seen: the end of a turn. */
  soon(run: () => void): void;
}

/** Randomness; seeded in simulation. */
export interface Random {
  /** An integer in 0..2^32-1. */
  uint32(): number;
}

/** Why a disk refused: `full` can pass, `io` ends the process, `missing` is an outcome. */
export type DiskErrorKind = 'full' | 'io' | 'missing' | 'denied';

/** What the Disk door rejects with. */
export class DiskError extends Error {
  override readonly name = 'DiskError';
  readonly kind: DiskErrorKind;
  constructor(kind: DiskErrorKind, message: string, options?: ErrorOptions) {
    super(message, options);
    this.kind = kind;
  }
}

/** One open file. Calls on one file may be in flight together; each buffer stays untouched until its call ends. */
export interface DiskFile {
  /** Writes all of `bytes` at `offset`; not durable before `sync`. */
  write(offset: number, bytes: Uint8Array): Promise<void>;
  /**
   * Up to `size` bytes from `offset`; fewer only at the end of the file. They may lie in `scratch`,
   * where that is large enough: new memory costs as much as reading.
   */
  read(offset: number, size: number, scratch?: Uint8Array): Promise<Uint8Array>;
  /** fdatasync: what was written before the call is durable when it resolves. */
  sync(): Promise<void>;
  /** Bytes in the file. */
  size(): Promise<number>;
  /** Cuts the file to `size` bytes. */
  truncate(size: number): Promise<void>;
  close(): Promise<void>;
}

/** A folder of the node's own. Names are flat or have one level (`snapshots/…`). Rejects with DiskError. */
export interface Disk {
  /** Opens an existing file for reading and writing; `missing` where there is none. */
  open(name: string): Promise<DiskFile>;
  /** Makes a new empty file, which must not exist. Its name is durable only after `syncFolder`. */
  create(name: string): Promise<DiskFile>;
  /** Moves a file over another name, atomically; durable after `syncFolder`. */
  rename(from: string, to: string): Promise<void>;
  remove(name: string): Promise<void>;
  /** Names of files in a folder (`''` is the top), sorted. An absent folder is empty. */
  list(folder: string): Promise<readonly string[]>;
  makeFolder(folder: string): Promise<void>;
  /** fsync of a folder: creations, renames and removals in it are durable when it resolves. */
  syncFolder(folder: string): Promise<void>;
  /** Takes the folder for this process alone; rejects with `denied` where another has it. */
  lock(): Promise<Cancel>;
}

/** One side of a connection that carries whole messages in order, until it breaks. */
export interface Link {
  /** Queues a message. Returns false when the receiver is slow: send no more until `drained`. */
  send(message: Uint8Array): boolean;
  /** Ends the link; messages already sent still arrive. */
  close(): void;
}

/** What the owner of a link side hears. */
export interface LinkEvents {
  message(message: Uint8Array): void;
  drained(): void;
  /** The link is gone, by either side or by the network; nothing follows. */
  closed(): void;
}

/** The network between processes. The transport between nodes and the simulated clients use it. */
export interface Net {
  /** Accepts links at an address of this process; returns how to stop. */
  listen(address: string, accept: (link: Link, from: string) => LinkEvents): Cancel;
  /** Opens a link; failure to connect comes as `closed`. */
  connect(address: string, events: LinkEvents): Link;
}
