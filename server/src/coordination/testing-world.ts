/** Partitions with leaders that can be deposed, and an unordered network that loses and duplicates. */
import { assert } from '../base/assert.ts';
import type { LogIndex, PartitionId, StampMs, Term } from '../base/ids.ts';
import { Prng } from '../base/prng.ts';
import type { Command, Entry } from '../space/command.ts';
import type { Outcome } from '../space/outcome.ts';
import { Space } from '../space/space.ts';
import { Leader } from './leader.ts';
import type { BetweenLeaders, CoordinatorId, FromLeader, ToLeader } from './messages.ts';

/** Something under way: it happens when it is picked, may happen twice, or not at all. */
export interface Event {
  readonly name: string;
  run(): void;
  /** What both ends see when it is lost; undefined: it is never lost. */
  lost?(): void;
  readonly canRepeat: boolean;
}

/** What the simulation checks around each applied entry. */
export interface ApplyWatcher {
  before(space: Space, command: Command): void;
  after(space: Space, command: Command, outcome: Outcome, index: LogIndex): void;
}

interface Replica {
  readonly space: Space;
  readonly leader: Leader;
  readonly epoch: Term;
}

/** The world that a schedule moves: time, network, partitions. */
export class World {
  readonly prng: Prng;
  readonly groups: Map<PartitionId, SimGroup> = new Map();
  readonly bag: Event[] = [];
  nowMs = 1_000;
  readonly trace: string[] = [];
  watcher: ApplyWatcher | undefined;
  /** Delivers to a gateway or client. */
  deliver: (to: CoordinatorId, message: FromLeader) => void = () => undefined;
  /** A link between a gateway and a partition broke, and came back. */
  relink: (gateway: CoordinatorId, partition: PartitionId) => void = () => undefined;

  constructor(seed: number) {
    this.prng = new Prng(seed, 'coordination');
  }

  note(line: string): void {
    this.trace.push(line);
  }

  group(partition: PartitionId): SimGroup {
    const group = this.groups.get(partition);
    assert(group !== undefined, 'the partition exists');
    return group;
  }

  /** `epoch`: the leadership that the sender knows of; undefined: whoever it finds. */
  toLeader(from: CoordinatorId, partition: PartitionId, message: ToLeader, epoch?: Term): void {
    this.bag.push({
      name: `${from} to p${partition}: ${describe(message)}`,
      run: () => this.group(partition).receive(from, message, epoch),
      lost: () => this.breakLink(from, partition),
      canRepeat: true,
    });
  }

  fromLeader(partition: PartitionId, to: CoordinatorId, message: FromLeader): void {
    this.bag.push({
      name: `p${partition} e${message.epoch} to ${to}: ${message.kind} call ${message.call}`,
      run: () => this.deliver(to, message),
      lost: () => this.breakLink(to, partition),
      canRepeat: true,
    });
  }

  betweenLeaders(to: PartitionId, message: BetweenLeaders): void {
    this.bag.push({
      name: `leaders to p${to}: ${message.kind}`,
      run: () => this.group(to).receiveLeader(message),
      lost: () => undefined,
      canRepeat: true,
    });
  }

  breakLink(gateway: CoordinatorId, partition: PartitionId): void {
    this.bag.push({
      name: `link ${gateway} to p${partition} comes back`,
      run: () => this.relink(gateway, partition),
      canRepeat: false,
    });
  }
}

function describe(message: ToLeader): string {
  const operation = 'operation' in message ? message.operation : undefined;
  if (operation?.kind !== 'session') return message.kind;
  return `${message.kind} op ${operation.session % 100}.${operation.sequence} a${operation.attempt}`;
}

/** One partition: the committed log, the present leader, and one that does not know it is deposed. */
export class SimGroup {
  readonly partition: PartitionId;
  readonly #world: World;
  readonly #log: Entry[] = [];
  pending: Entry[] = [];
  present: Replica;
  deposed: Replica | undefined;

  constructor(world: World, partition: PartitionId, entries: readonly Entry[]) {
    this.#world = world;
    this.partition = partition;
    world.groups.set(partition, this);
    for (const entry of entries) this.#log.push(entry);
    this.present = this.#lead(1 as Term, []);
  }

  /** The committed state. */
  get space(): Space {
    return this.present.space;
  }

  get epoch(): Term {
    return this.present.epoch;
  }

  /** A sender that knows of the deposed leader only reaches it, or the present one. */
  receive(from: CoordinatorId, message: ToLeader, epoch?: Term): void {
    const isPresent = epoch === this.present.epoch;
    const { leader } = isPresent ? this.present : this.#any();
    leader.receive(from, message, this.#world.nowMs);
  }

  receiveLeader(message: BetweenLeaders): void {
    this.#any().leader.receiveLeader(message, this.#world.nowMs);
  }

  commit(count: number): void {
    const { leader, space } = this.present;
    for (let left = count; left > 0; left -= 1) {
      const entry = this.pending.shift();
      if (entry === undefined) break;
      const { index, outcome } = this.#apply(space, entry);
      leader.applied(index, entry.command, outcome, this.#world.nowMs);
    }
    leader.flush(this.#world.nowMs);
  }

  /** The first `kept` entries in flight are in the new leader's log (L2); the others are lost. */
  elect(kept: number): void {
    const found = this.pending.slice(0, kept);
    this.pending = [];
    this.deposed?.leader.stepDown();
    this.deposed = this.present;
    this.present = this.#lead((this.present.epoch + 1) as Term, found);
  }

  /** The deposed leader learns of it. */
  stepDown(): void {
    this.deposed?.leader.stepDown();
    this.deposed = undefined;
  }

  tick(): void {
    this.present.leader.tick(this.#world.nowMs);
    this.deposed?.leader.tick(this.#world.nowMs);
  }

  #any(): Replica {
    if (this.deposed !== undefined && this.#world.prng.chance(1, 2)) return this.deposed;
    return this.present;
  }

  /** A replica of its own from the committed log, so that a deposed leader keeps an old state. */
  #lead(epoch: Term, found: readonly Entry[]): Replica {
    const space = new Space({ partition: this.partition, limits: { batchTuplesMax: 1 } });
    for (const entry of this.#log) space.apply((space.appliedIndex + 1) as LogIndex, entry);
    for (const entry of found) this.#apply(space, entry);
    const entry: Entry = { stampMs: this.#stampMs(space), command: { kind: 'lead' } };
    this.#log.push(entry);
    space.apply((space.appliedIndex + 1) as LogIndex, entry);
    let unapplied = 0;
    const world = this.#world;
    const leader = new Leader({
      partition: this.partition,
      epoch,
      space,
      ports: {
        propose: (command) => {
          const made = { stampMs: this.#stampMs(space), command };
          const isPresent = this.present.leader === leader;
          if (isPresent) this.pending.push(made);
          else unapplied += 1;
          const ahead = isPresent ? this.pending.length : unapplied + 1_000;
          return (space.appliedIndex + ahead) as LogIndex;
        },
        send: (to, message) => world.fromLeader(this.partition, to, message),
        sendLeader: (to, message) => world.betweenLeaders(to, message),
        stampMs: () => this.#stampMs(space),
        confirm: (run) =>
          world.bag.push({
            name: `p${this.partition} e${epoch} confirms itself`,
            run: () => (this.present.leader === leader ? run() : undefined),
            canRepeat: false,
          }),
      },
    });
    const replica = { space, leader, epoch };
    this.present = replica;
    leader.serve(world.nowMs);
    return replica;
  }

  #apply(space: Space, entry: Entry): { index: LogIndex; outcome: Outcome } {
    const index = (space.appliedIndex + 1) as LogIndex;
    this.#world.watcher?.before(space, entry.command);
    const outcome = space.apply(index, entry);
    this.#log.push(entry);
    this.#world.watcher?.after(space, entry.command, outcome, index);
    return { index, outcome };
  }

  #stampMs(space: Space): StampMs {
    return Math.max(space.stampMs, this.#world.nowMs) as StampMs;
  }
}
