/** The lines of a history (HISTORY.md), and the history put together from them. */
import type { FieldJson, TemplateJson, TupleJson } from './values.ts';

/** How an operation ended. */
export type OutcomeJson = 'ok' | 'nothing' | 'cancelled' | 'failed' | 'unknown';

/** What a write left behind. */
export interface WrittenJson {
  readonly id: number;
  readonly partition: number;
  readonly revision: number;
  readonly leaseEndMs: number | null;
}

/** A tuple that an operation gave. */
export interface FoundJson {
  readonly id: number;
  readonly partition: number;
  readonly revision: number;
  readonly deliveries: number;
  readonly leaseEndMs: number | null;
  readonly state: 'ready' | 'handed';
  readonly tuple: TupleJson;
}

/** What is asked; which fields an operation has stands in HISTORY.md. */
export interface ArgumentsJson {
  readonly space?: string;
  readonly tuple?: TupleJson;
  readonly tuples?: readonly TupleJson[];
  readonly leaseMs?: number;
  readonly absent?: TemplateJson;
  readonly template?: TemplateJson | null;
  readonly version?: { readonly id: number; readonly revision: number };
  readonly waitMs?: number | null;
  readonly pinned?: boolean;
  readonly max?: number;
  readonly min?: number;
  readonly field?: number;
  readonly delta?: FieldJson;
  readonly tupleId?: number;
  readonly kinds?: readonly string[];
  readonly observer?: boolean;
  readonly session?: boolean;
}

/** What was answered. */
export interface ResultJson {
  readonly written?: WrittenJson;
  readonly outcomes?: readonly {
    readonly written?: WrittenJson;
    readonly failed?: string;
    readonly unknown?: string;
  }[];
  readonly found?: readonly FoundJson[];
  readonly replaced?: FoundJson;
  readonly count?: number;
  readonly renewed?: boolean;
  readonly cancelled?: boolean;
  readonly leaseEndMs?: number | null;
  readonly reason?: string;
}

/** The kinds of SPEC §8. */
export type EventKindJson = 'WRITTEN' | 'TAKEN' | 'RETURNED' | 'REPLACED' | 'EXPIRED' | 'CANCELLED';

/** Something that happened to a tuple. */
export interface EventJson {
  readonly kind: EventKindJson;
  readonly space: string;
  readonly partition: number;
  readonly revision: number;
  readonly position: number;
  readonly last: boolean;
  readonly atMs: number;
  readonly id: number;
  readonly tupleRevision: number;
  readonly deliveries: number;
  readonly leaseEndMs: number | null;
  readonly tuple: TupleJson;
  readonly old: TupleJson | null;
}

/** One line. */
export type Line =
  | {
      readonly kind: 'start';
      readonly format: 1;
      readonly time: number;
      readonly settings: { readonly wayMs?: number; readonly [name: string]: unknown };
    }
  | {
      readonly kind: 'invoke';
      readonly id: number;
      readonly process: string;
      readonly operation: string;
      readonly arguments: ArgumentsJson;
      readonly time: number;
    }
  | {
      readonly kind: 'complete';
      readonly id: number;
      readonly process: string;
      readonly operation: string;
      readonly session?: number;
      readonly outcome: OutcomeJson;
      readonly result: ResultJson;
      readonly time: number;
    }
  | {
      readonly kind: 'event';
      readonly id: number;
      readonly process: string;
      readonly time: number;
      readonly event: EventJson;
    }
  | {
      readonly kind: 'cursor';
      readonly id: number;
      readonly process: string;
      readonly time: number;
    }
  | {
      readonly kind: 'end';
      readonly process: string;
      readonly session?: number;
      readonly time: number;
      readonly reason: 'closed' | 'lost' | 'killed';
    }
  | {
      readonly kind: 'fault';
      readonly fault: string;
      readonly time: number;
      readonly process?: string;
      readonly forMs?: number;
    }
  | { readonly kind: 'quiet'; readonly time: number };

/** An operation with its answer. */
export interface Operation {
  readonly id: number;
  readonly process: string;
  readonly operation: string;
  readonly arguments: ArgumentsJson;
  readonly invoked: number;
  /** Infinity: never answered. */
  completed: number;
  outcome: OutcomeJson;
  result: ResultJson;
  /** The session in which it was answered, where the process has several. */
  session: number | undefined;
}

/** An event at the time at which a process got it. */
export interface SeenEvent {
  readonly time: number;
  readonly event: EventJson;
}

/** A notify stream. */
export interface Stream {
  readonly operation: Operation;
  /** When its first cursor came; undefined: never. */
  cursorAt: number | undefined;
  readonly events: SeenEvent[];
}

/** A committed event, at its place in its partition's order. */
export interface Committed extends SeenEvent {
  /** From 0 in its partition. */
  readonly at: number;
}

/** A whole history. */
export interface History {
  /** How long a request and its answer may be on their way where nothing is disturbed, in ms. */
  readonly wayMs: number;
  readonly operations: readonly Operation[];
  readonly streams: readonly Stream[];
  readonly faults: readonly Extract<Line, { kind: 'fault' }>[];
  /** By process: when all its sessions may have ended. */
  readonly ends: ReadonlyMap<string, number>;
  /** By session, of processes with several: when it may have ended. */
  readonly sessionEnds: ReadonlyMap<number, number>;
  readonly killed: ReadonlySet<string>;
  /** undefined: the history stops before it settled. */
  readonly quietAt: number | undefined;
  /** By partition, what the observers saw, in order of revision; undefined: nobody observed. */
  readonly committed: ReadonlyMap<number, readonly Committed[]> | undefined;
}

/** Something that must not be. */
export interface Violation {
  readonly checker: string;
  readonly message: string;
  /** The operations it is about. */
  readonly operations: readonly number[];
}

/** Judges a history. */
export interface Checker {
  readonly name: string;
  check(history: History): readonly Violation[];
}

/** Parses JSON lines; throws on a line that is not one. */
export function parseLines(text: string): Line[] {
  const lines: Line[] = [];
  for (const [at, line] of text.split('\n').entries()) {
    if (line === '') continue;
    const parsed: unknown = JSON.parse(line);
    if (typeof parsed !== 'object' || parsed === null || !('kind' in parsed)) {
      throw new TypeError(`line ${at + 1} of the history has no kind`);
    }
    lines.push(parsed as Line);
  }
  return lines;
}

/** What `wayMs` is where the history does not say. */
const wayMsDefault = 150;

interface Building {
  wayMs: number;
  readonly operations: Operation[];
  readonly byId: Map<number, Operation>;
  readonly streams: Map<number, Stream>;
  readonly faults: Extract<Line, { kind: 'fault' }>[];
  readonly ends: Map<string, number>;
  readonly sessionEnds: Map<number, number>;
  readonly killed: Set<string>;
  quietAt: number | undefined;
}

/** Puts the lines together. Throws where they contradict the format. */
export function historyOf(lines: Iterable<Line>): History {
  const building: Building = {
    wayMs: wayMsDefault,
    operations: [],
    byId: new Map(),
    streams: new Map(),
    faults: [],
    ends: new Map(),
    sessionEnds: new Map(),
    killed: new Set(),
    quietAt: undefined,
  };
  for (const line of lines) add(building, line);
  const streams = [...building.streams.values()];
  return { ...building, streams, committed: committedOf(streams) };
}

function add(building: Building, line: Line): void {
  switch (line.kind) {
    case 'start': {
      const { wayMs } = line.settings;
      if (typeof wayMs === 'number') building.wayMs = wayMs;
      return;
    }
    case 'invoke':
      invoke(building, line);
      return;
    case 'complete':
      complete(building, line);
      return;
    case 'event':
      streamOf(building, line.id).events.push({ time: line.time, event: line.event });
      return;
    case 'cursor':
      streamOf(building, line.id).cursorAt ??= line.time;
      return;
    case 'end':
      addEnd(building, line);
      return;
    case 'fault':
      building.faults.push(line);
      return;
    case 'quiet':
      building.quietAt = line.time;
      return;
  }
}

function addEnd(building: Building, line: Extract<Line, { kind: 'end' }>): void {
  const { process, session, time, reason } = line;
  if (session !== undefined) {
    if (!building.sessionEnds.has(session)) building.sessionEnds.set(session, time);
    return;
  }
  if (!building.ends.has(process)) building.ends.set(process, time);
  if (reason === 'killed') building.killed.add(process);
}

function invoke(building: Building, line: Extract<Line, { kind: 'invoke' }>): void {
  if (building.byId.has(line.id)) throw new TypeError(`operation ${line.id} is invoked twice`);
  const operation: Operation = {
    id: line.id,
    process: line.process,
    operation: line.operation,
    arguments: line.arguments,
    invoked: line.time,
    completed: Number.POSITIVE_INFINITY,
    outcome: 'unknown',
    result: {},
    session: undefined,
  };
  building.byId.set(line.id, operation);
  building.operations.push(operation);
  if (line.operation === 'notify') {
    building.streams.set(line.id, { operation, cursorAt: undefined, events: [] });
  }
}

function complete(building: Building, line: Extract<Line, { kind: 'complete' }>): void {
  const operation = building.byId.get(line.id);
  if (operation === undefined) throw new TypeError(`operation ${line.id} was not invoked`);
  if (operation.completed !== Number.POSITIVE_INFINITY) {
    throw new TypeError(`operation ${line.id} is completed twice`);
  }
  operation.completed = line.time;
  operation.outcome = line.outcome;
  operation.session = line.session;
  operation.result = line.result;
}

function streamOf(building: Building, id: number): Stream {
  const stream = building.streams.get(id);
  if (stream === undefined) throw new TypeError(`operation ${id} is no notify`);
  return stream;
}

/** Compares two places of one partition. */
export function comparePlaces(left: EventJson, right: EventJson): number {
  return left.revision - right.revision || left.position - right.position;
}

function committedOf(streams: readonly Stream[]): History['committed'] {
  const observers = streams.filter((stream) => stream.operation.arguments.observer === true);
  if (observers.length === 0) return undefined;
  const byPartition = new Map<number, SeenEvent[]>();
  for (const observer of observers) {
    for (const seen of observer.events) {
      const list = byPartition.get(seen.event.partition);
      if (list === undefined) byPartition.set(seen.event.partition, [seen]);
      else list.push(seen);
    }
  }
  const committed = new Map<number, Committed[]>();
  for (const [partition, seen] of byPartition) {
    seen.sort((left, right) => comparePlaces(left.event, right.event));
    committed.set(
      partition,
      seen.map(({ time, event }, at) => ({ time, event, at })),
    );
  }
  return committed;
}

/** When the session that answered an operation may have ended; Infinity: not at all. */
export function sessionEndOf(history: History, operation: Operation): number {
  const { process, session } = operation;
  const own = session === undefined ? undefined : history.sessionEnds.get(session);
  return Math.min(
    own ?? Number.POSITIVE_INFINITY,
    history.ends.get(process) ?? Number.POSITIVE_INFINITY,
  );
}

/** Every tuple that an application received from the operation. */
export function receivedBy(operation: Operation): readonly FoundJson[] {
  const isTake = operation.operation === 'take' || operation.operation === 'take-many';
  return isTake && operation.outcome === 'ok' ? (operation.result.found ?? []) : [];
}
