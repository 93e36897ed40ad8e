/** What tests of the partition host share: a host over the simulated disk, and a router that remembers. */
import { compileTemplate, encodeTemplate, encodeTuple, Template, type Value } from '@tuplet/proto';
import { present } from '../src/base/assert.ts';
import type { Cancel, Clock } from '../src/base/doors.ts';
import type {
  Attempt,
  PartitionId,
  Sequence,
  SessionId,
  Slot,
  SpaceId,
  Term,
} from '../src/base/ids.ts';
import type { MapOutcome, SpaceSettings } from '../src/cluster/map-command.ts';
import type {
  CallId,
  Change,
  CoordinatorId,
  FromLeader,
  ToLeader,
} from '../src/coordination/messages.ts';
import { hostChecksum } from '../src/host/checksum.ts';
import { type HostOptions, PartitionHost } from '../src/partition/partition-host.ts';
import type { RouterPort } from '../src/partition/routers.ts';
import { DroppedSpaces } from '../src/router/dropped-spaces.ts';
import type { NewTuple, SessionOperation } from '../src/space/command.ts';
import type { SimDiskOptions } from './disk.ts';
import { World } from './disk-world.ts';

/** `default`, which every cluster has. */
export const defaultSpace = 1 as SpaceId;

/** A message without its call's number, which the router gives. */
type Uncalled<M> = M extends ToLeader ? Omit<M, 'call'> : never;

/** A router that sends what a test says and keeps what comes back. */
export class TestRouter implements RouterPort {
  readonly id: CoordinatorId;
  readonly answers: Map<CallId, FromLeader[]> = new Map();
  /** Sizes of the batches delivered. */
  readonly batches: number[] = [];
  readonly epochs: Map<PartitionId, Term> = new Map();
  detach: Cancel = () => undefined;
  readonly #host: PartitionHost;
  #calls = 0;

  constructor(host: PartitionHost, id: CoordinatorId) {
    this.#host = host;
    this.id = id;
  }

  deliver(messages: readonly FromLeader[]): void {
    this.batches.push(messages.length);
    for (const message of messages) {
      const answers = this.answers.get(message.call) ?? [];
      answers.push(message);
      this.answers.set(message.call, answers);
    }
  }

  leadership(partition: PartitionId, epoch: Term): void {
    this.epochs.set(partition, epoch);
  }

  /** Sends a message; returns the number of its call. */
  send(to: PartitionId, message: Uncalled<ToLeader>): CallId {
    this.#calls += 1;
    this.#host.send(to, this.id, { ...message, call: this.#calls });
    return this.#calls;
  }

  /** Sends a change without an operation. */
  mutate(to: PartitionId, change: Change): CallId {
    const epoch = present(this.epochs.get(to), 'the partition is led');
    return this.send(to, { kind: 'mutate', operation: undefined, epoch, m: 1, change });
  }

  /** Writes one tuple. */
  write(to: PartitionId, fields: readonly Value[], options: WriteOptions = {}): CallId {
    const { space = defaultSpace, leaseMs } = options;
    return this.mutate(to, { kind: 'write', space, tuples: [tupleOf(to, fields, leaseMs)] });
  }

  /** Opens a session at home in a partition. */
  openSession(home: PartitionId, leaseMs = 10_000): CallId {
    return this.send(home, { kind: 'open-session', leaseMs, name: 'test' });
  }

  /** Sends a pinned take: the tag is given, the other fields are any. */
  take(
    to: PartitionId,
    operation: SessionOperation,
    tag: Value,
    options: TakeOptions = {},
  ): CallId {
    const epoch = present(this.epochs.get(to), 'the partition is led');
    const { m = 1, waitEnded = true } = options;
    const query = { space: defaultSpace, template: taggedWith(tag), max: 1, min: 1 };
    const message = { kind: 'take', operation, epoch, m, query, waitEnded } as const;
    return this.send(to, { ...message, cancelled: false });
  }

  /** Counts a space's ready tuples in a partition. */
  count(to: PartitionId, space: SpaceId = defaultSpace): CallId {
    return this.send(to, { kind: 'count', space, template: undefined, states: ['ready'] });
  }

  /** The kinds of the answers to a call, in order. */
  kinds(call: CallId): readonly string[] {
    return (this.answers.get(call) ?? []).map(({ kind }) => kind);
  }

  /** The last answer to a call. */
  last(call: CallId): FromLeader | undefined {
    return this.answers.get(call)?.at(-1);
  }
}

interface WriteOptions {
  readonly space?: SpaceId;
  readonly leaseMs?: number;
}

interface TakeOptions {
  readonly m?: number;
  readonly waitEnded?: boolean;
}

/** The first sending of an operation, or a later one. */
export function operationOf(
  session: SessionId,
  sequence: number,
  attempt = 1,
  floor = 1,
): SessionOperation {
  return {
    kind: 'session',
    session,
    sequence: sequence as Sequence,
    attempt: attempt as Attempt,
    floor: floor as Sequence,
  };
}

/** Matches tuples with this tag and whatever follows. */
export function taggedWith(tag: Value): Template {
  const spec = [{ matchers: [{ kind: 'actual', value: tag } as const], rest: true }];
  const template = compileTemplate(encodeTemplate(spec));
  if (!(template instanceof Template)) throw new Error(template.message);
  return template;
}

/** A tuple to be written; its slot is some slot of the partition. */
export function tupleOf(
  partition: PartitionId,
  fields: readonly Value[],
  leaseMs?: number,
): NewTuple {
  return { slot: partition as number as Slot, bytes: encodeTuple(fields), leaseMs };
}

/** One node's host, life after life. */
export class HostWorld extends World {
  /** What the wall clock shows at virtual time 0. */
  wallFromMs = 1_700_000_000_000;
  readonly warnings: string[] = [];
  readonly clock: Clock = {
    ...this.time.clock,
    monotonicMs: () => this.nowMs,
    wallMs: () => this.wallFromMs + this.nowMs,
  };
  #routers = 0;
  #skippedMs = 0;

  constructor(seed = 1, options: Partial<SimDiskOptions> = {}) {
    super(seed, { delays: { writeMs: [0.05, 0.1], syncMs: [0.5, 1] }, ...options });
  }

  get nowMs(): number {
    return this.time.clock.monotonicMs() + this.#skippedMs;
  }

  /** Time passes while the node stands still: its clock jumps ahead, its timers do not. */
  pause(forMs: number): void {
    this.#skippedMs += forMs;
  }

  hostOptions(more: Partial<HostOptions> = {}): HostOptions {
    return {
      disk: this.disk,
      clock: this.clock,
      random: this.random,
      checksum: hostChecksum,
      segmentBytes: 64 * 1024,
      reserveBytesMin: 16 * 1024,
      onFatal: (error) => this.fatal.push(error),
      onWarning: (message) => this.warnings.push(message),
      ...more,
    };
  }

  /** Starts a host, and runs until it serves. */
  async start(more: Partial<HostOptions> = {}): Promise<PartitionHost> {
    const host = await this.time.until(PartitionHost.open(this.hostOptions(more)));
    this.#routers += 1;
    new DroppedSpaces({
      id: this.#routers,
      partitions: {
        send: (to, from, message) => host.send(to, from, message),
        attach: (router) => host.attach(router),
      },
      map: host.map,
      clock: this.clock,
    });
    return host;
  }

  /** Attaches a router. */
  router(host: PartitionHost): TestRouter {
    this.#routers += 1;
    const router = new TestRouter(host, this.#routers);
    router.detach = host.attach(router);
    return router;
  }

  /** Runs until a call has an answer, which is its last so far. */
  async answer(router: TestRouter, call: CallId): Promise<FromLeader> {
    for (let steps = 0; steps < 100_000; steps += 1) {
      const answer = router.last(call);
      if (answer !== undefined) return answer;
      if (!(await this.time.step())) break;
    }
    throw new Error(`call ${call} is not answered`);
  }

  /** Creates a space, and runs until that is decided. */
  async createSpace(
    host: PartitionHost,
    name: string,
    settings: Partial<SpaceSettings> = {},
  ): Promise<MapOutcome> {
    const whole = { rules: [], like: undefined, tupleBytesMax: 1_048_576, ...settings };
    return await this.time.until(
      new Promise((resolve) => host.map.createSpace(name, whole, resolve)),
    );
  }

  /** Drops a space, and runs until that is decided. */
  async dropSpace(host: PartitionHost, name: string): Promise<MapOutcome> {
    return await this.time.until(new Promise((resolve) => host.map.dropSpace(name, resolve)));
  }

  /** Closes a host, and runs until it has. */
  async close(host: PartitionHost): Promise<void> {
    await this.time.until(host.close());
    this.time.forget();
  }
}
