/** A router on its own: time that tests move, partitions that remember what they were sent. */
import { encodeTemplate, encodeTuple, type MatcherSpec, type Value } from '@tuplet/proto';
import { DeadlineHeap } from '../../src/base/deadline-heap.ts';
import type { Cancel, Clock } from '../../src/base/doors.ts';
import type { LogIndex, PartitionId, SpaceId, StampMs, Term, TupleId } from '../../src/base/ids.ts';
import { idIn } from '../../src/base/ids.ts';
import type { SpaceRecord } from '../../src/cluster/map-command.ts';
import type { FromLeader, ToLeader } from '../../src/coordination/messages.ts';
import type { Answer } from '../../src/router/request.ts';
import { type Partitions, Router, type RouterLimits } from '../../src/router/router.ts';
import type { StoredTuple } from '../../src/space/outcome.ts';

/** Time that stands until it is moved; `soon` waits for `turn`. */
export class HandClock implements Clock {
  readonly #timers: Map<number, () => void> = new Map();
  readonly #deadlines: DeadlineHeap = new DeadlineHeap();
  #soon: (() => void)[] = [];
  #nowMs = 0;
  #timer = 0;

  monotonicMs(): number {
    return this.#nowMs;
  }
  wallMs(): number {
    return this.#nowMs;
  }
  after(delayMs: number, run: () => void): Cancel {
    this.#timer += 1;
    const timer = this.#timer;
    this.#timers.set(timer, run);
    this.#deadlines.set(timer, this.#nowMs + delayMs);
    return () => {
      this.#timers.delete(timer);
      this.#deadlines.delete(timer);
    };
  }
  soon(run: () => void): void {
    this.#soon.push(run);
  }
  /** Timers set and not yet run. */
  get timers(): number {
    return this.#timers.size;
  }
  /** Runs what waits for the end of the turn. */
  turn(): void {
    for (const run of this.#soon.splice(0)) run();
  }
  /** Moves time on, from timer to timer. */
  advance(ms: number): void {
    const endMs = this.#nowMs + ms;
    while (this.#deadlines.nextMs <= endMs) {
      this.#nowMs = Math.max(this.#nowMs, this.#deadlines.nextMs);
      const timer = this.#deadlines.takeDue(this.#nowMs);
      if (timer === undefined) break;
      const run = this.#timers.get(timer);
      this.#timers.delete(timer);
      run?.();
      this.turn();
    }
    this.#nowMs = endMs;
  }
}

/** A message and where it went. */
export interface Sent {
  readonly to: PartitionId;
  readonly message: ToLeader;
}

export const space: SpaceRecord = {
  id: 1 as SpaceId,
  name: 'jobs',
  settings: { rules: [], like: undefined, tupleBytesMax: 1_048_576 },
  routingName: 'jobs',
  rules: [],
  createdAtMs: 0 as StampMs,
};

type Body = FromLeader extends infer Message
  ? Message extends FromLeader
    ? Omit<Message, 'call' | 'partition' | 'epoch'>
    : never
  : never;

/** Router, clock, and partitions that do what the test says. */
export class RouterBench {
  readonly clock: HandClock = new HandClock();
  readonly router: Router;
  readonly epochs: Map<PartitionId, Term> = new Map();
  readonly spaces: SpaceRecord[] = [space];
  /** Partitions that have more than they want. */
  readonly overloaded: Set<PartitionId> = new Set();
  epoch = 1;
  /** Looks at the cluster's map that are not answered; undefined: it has nothing that is not here. */
  looks: ((isSeen: boolean) => void)[] | undefined;
  #sent: Sent[] = [];
  #mapObserver: (() => void) | undefined;
  #port: Parameters<Partitions['attach']>[0] | undefined;

  constructor(options: { partitions?: number; limits?: Partial<RouterLimits> } = {}) {
    const count = options.partitions ?? 4;
    for (let p = 1; p <= count; p += 1) this.epochs.set(p as PartitionId, 1 as Term);
    this.router = new Router({
      id: 7,
      clock: this.clock,
      partitions: this.#partitions(count),
      ...(options.limits === undefined ? {} : { limits: options.limits }),
    });
  }

  /** Messages sent since the last look. */
  sent(): readonly Sent[] {
    return this.#sent.splice(0);
  }

  /** The only message sent since the last look. */
  one<Kind extends ToLeader['kind']>(
    kind: Kind,
  ): Extract<ToLeader, { kind: Kind }> & { to: PartitionId } {
    const sent = this.sent();
    const [only] = sent;
    if (sent.length !== 1 || only === undefined || only.message.kind !== kind)
      throw new Error(`expected one ${kind}, sent: ${sent.map((s) => s.message.kind).join()}`);
    return { ...(only.message as Extract<ToLeader, { kind: Kind }>), to: only.to };
  }

  /** A leader answers a message. */
  reply(to: { call: number }, from: number, body: Body): void {
    const partition = from as PartitionId;
    const epoch = this.epochs.get(partition) ?? (1 as Term);
    this.#port?.deliver([{ ...body, call: to.call, partition, epoch } as FromLeader]);
  }

  /** Somebody who does not lead, in the name of this leadership or because of it, says so. */
  refuse(to: { call: number }, from: number, epoch: number): void {
    const message = { kind: 'not-leader', definite: true, call: to.call } as const;
    this.#port?.deliver([{ ...message, partition: from as PartitionId, epoch: epoch as Term }]);
  }

  /** A partition gets a new leadership, or loses the one it had. */
  lead(partition: number, epoch: number | undefined): void {
    const id = partition as PartitionId;
    if (epoch === undefined) this.epochs.delete(id);
    else {
      this.epochs.set(id, epoch as Term);
      this.#port?.leadership(id, epoch as Term);
    }
  }

  /** The link to a partition's leader breaks. */
  breakLink(partition: number): void {
    const id = partition as PartitionId;
    this.epochs.delete(id);
    this.#port?.linkBroken(id);
  }

  /** Drops a space. */
  drop(name: string): void {
    this.spaces.splice(
      this.spaces.findIndex((each) => each.name === name),
      1,
    );
    this.epoch += 1;
    this.#mapObserver?.();
  }

  /** Makes a call and collects its answers: there must be one at most. */
  call(request: Parameters<Router['call']>[0]): { number: number; answers: Answer[] } {
    const answers: Answer[] = [];
    const number = this.router.call(request, (answer) => answers.push(answer));
    return { number, answers };
  }

  #partitions(count: number): Partitions {
    const bench = this;
    return {
      map: {
        partitions: count,
        get epoch() {
          return bench.epoch;
        },
        space: (name) => this.spaces.find((each) => each.name === name),
        spaceById: (id) => this.spaces.find((each) => each.id === id),
      },
      send: (to, _from, message) => this.#sent.push({ to, message }),
      epochOf: (partition) => this.epochs.get(partition),
      ready: (partition) => !this.overloaded.has(partition),
      onMapChange: (run) => {
        this.#mapObserver = run;
        return () => undefined;
      },
      lookAtMap: (run) => {
        if (this.looks === undefined) run(true);
        else this.looks.push(run);
      },
      attach: (port) => {
        this.#port = port;
        return () => undefined;
      },
    };
  }
}

/** A tuple's bytes. */
export function tuple(...fields: Value[]): Uint8Array {
  return encodeTuple(fields);
}

export const any: MatcherSpec = { kind: 'any' };

/** A template's bytes: a value is an actual matcher. */
export function template(...matchers: (MatcherSpec | string | number)[]): Uint8Array {
  return encodeTemplate([
    {
      matchers: matchers.map(
        (each): MatcherSpec => (typeof each === 'object' ? each : { kind: 'actual', value: each }),
      ),
      rest: false,
    },
  ]);
}

/** A tuple as a leader shows it. */
export function stored(partition: number, counter: number, bytes: Uint8Array): StoredTuple {
  return {
    id: idIn(partition as PartitionId, counter) as TupleId,
    revision: 5 as LogIndex,
    bytes,
    deliveries: 0,
    writtenAtMs: 0 as StampMs,
    leaseEndMs: undefined,
    state: 'ready',
  };
}
