/**
 * Random schedules of the protocol: real leaders over real spaces, coordinators, clients, and a
 * network that loses, duplicates and reorders. One seed, one schedule.
 */
import type { Template, Value } from '@tuplet/proto';
import type { PartitionId, Sequence, SessionId, SpaceId, StampMs } from '../base/ids.ts';
import type { Entry } from '../space/command.ts';
import type { Change, Query } from './messages.ts';
import { any, newTuple, storedInt, template, testSpace } from './testing-bed.ts';
import { SimClient, type SimOperation } from './testing-client.ts';
import { SimGateway } from './testing-gateway.ts';
import { type Counts, Invariants, Violation } from './testing-invariants.ts';
import { type Event, SimGroup, World } from './testing-world.ts';

/** What came of one schedule. */
export interface SimulationReport {
  readonly seed: number;
  readonly steps: number;
  /** Undefined: every invariant held. */
  readonly violation: string | undefined;
  readonly trace: readonly string[];
  readonly counts: Counts;
}

const matchAll: Template = template('job', any, any);
const matchEven: Template = template('job', any, 0);
const matchOdd: Template = template(any, any, 1);
const matchCounter: Template = template('counter', any);
const matchLock: Template = template('lock', any);

/** What a schedule is made of: which operations, and how many of each fault and choice. */
interface Profile {
  readonly operations: readonly string[];
  readonly templates: readonly Template[];
  readonly partitionsMin: number;
  readonly budget: Readonly<Record<string, number>>;
}

const mixed: Profile = {
  operations: ['take', 'take', 'take', 'pinned', 'pinned', 'write', 'write', 'lock', 'count'],
  templates: [matchAll, matchAll, matchEven, matchOdd],
  partitionsMin: 1,
  budget: {
    elect: 4,
    stepDown: 4,
    lose: 3,
    repeat: 3,
    kill: 2,
    retry: 4,
    time: 3,
    waitEnd: 3,
    cancel: 2,
    cancelElsewhere: 2,
    giveUp: 2,
    relink: 2,
    gone: 1,
    resend: 2,
  },
};

/** Unpinned takes that compete for few tuples, with offers that lapse and cross. */
const contended: Profile = {
  operations: ['take', 'take', 'take', 'write'],
  templates: [matchAll],
  partitionsMin: 2,
  budget: {
    elect: 4,
    lose: 3,
    repeat: 4,
    time: 5,
    waitEnd: 3,
    relink: 6,
    retry: 2,
    cancel: 1,
    resend: 1,
  },
};

/** Operations of one partition, sent again and again while leaders change. */
const pinned: Profile = {
  operations: ['pinned', 'pinned', 'write', 'count', 'lock'],
  templates: [matchAll],
  partitionsMin: 1,
  budget: {
    elect: 6,
    lose: 2,
    repeat: 12,
    retry: 6,
    waitEnd: 4,
    cancel: 3,
    relink: 6,
    giveUp: 1,
    resend: 2,
  },
};

const profiles: readonly Profile[] = [mixed, contended, pinned];

/** Faults that happen when something is delivered. */
const onTheWay: ReadonlySet<string> = new Set(['lose', 'repeat']);

class Simulation {
  readonly #world: World;
  readonly #invariants: Invariants;
  readonly #gateways: SimGateway[] = [];
  readonly #clients: SimClient[] = [];
  readonly #profile: Profile;
  readonly #budget: Record<string, number>;
  #steps = 0;
  #contents = 0;

  constructor(seed: number) {
    this.#world = new World(seed);
    this.#profile = this.#world.prng.pick(profiles);
    this.#budget = { ...this.#profile.budget };
    this.#invariants = new Invariants(this.#world);
    this.#world.watcher = this.#invariants;
    this.#build();
  }

  run(): Omit<SimulationReport, 'seed'> {
    let violation: string | undefined;
    try {
      const stepsMax = this.#world.prng.between(50, 400);
      while (this.#steps < stepsMax) this.#step();
      this.#rest();
      this.#invariants.atRest();
      this.#checkCounter();
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      violation = error instanceof Violation ? error.message : String(error.stack);
    }
    const { trace } = this.#world;
    return { steps: this.#steps, trace, violation, counts: this.#invariants.counts };
  }

  #build(): void {
    const { prng } = this.#world;
    const partitions = prng.between(this.#profile.partitionsMin, 3);
    const clients = prng.between(1, 4);
    const homes = Array.from({ length: clients }, () => prng.between(1, partitions));
    for (let p = 1; p <= partitions; p += 1) {
      const entries = homes.filter((home) => home === p).map(() => openEntry());
      if (p === 1) entries.push(this.#writeEntry(['counter', 0]));
      for (let n = prng.below(3); n > 0; n -= 1) entries.push(this.#writeEntry(this.#content()));
      if (prng.chance(1, 4)) entries.push(this.#writeEntry(this.#content('leased'), 500));
      new SimGroup(this.#world, p as PartitionId, entries);
    }
    for (let id = 1; id <= 3; id += 1) this.#gateways.push(new SimGateway(this.#world, id));
    const opened = new Map<number, number>();
    homes.forEach((home, i) => {
      const counter = (opened.get(home) ?? 0) + 1;
      opened.set(home, counter);
      const session = (home * 2 ** 44 + counter) as SessionId;
      const operations = this.#operations(partitions);
      this.#clients.push(
        new SimClient({
          id: 100 + i,
          session,
          operations,
          world: this.#world,
          watcher: this.#invariants,
        }),
      );
    });
    this.#invariants.clients = this.#clients;
    this.#world.deliver = (to, message) => {
      this.#gateways.find(({ id }) => id === to)?.receive(message);
      this.#clients.find(({ id }) => id === to)?.receive(message);
    };
    this.#world.relink = (to, partition) => {
      this.#gateways.find(({ id }) => id === to)?.relink(partition);
      const client = this.#clients.find(({ id }) => id === to);
      for (const operation of client?.operations ?? []) client?.acknowledge(operation);
    };
  }

  #content(mark = 'tuple'): Value[] {
    this.#contents += 1;
    return ['job', `${mark} ${this.#contents}`, this.#world.prng.below(2)];
  }

  #writeEntry(fields: readonly Value[], leaseMs?: number): Entry {
    const tuple = { ...newTuple(...fields), leaseMs };
    return {
      stampMs: this.#world.nowMs as StampMs,
      command: {
        kind: 'write',
        operation: undefined,
        space: testSpace,
        tuples: [tuple],
        absence: undefined,
        handOvers: [],
      },
    };
  }

  #operations(partitions: number): SimOperation[] {
    const { prng } = this.#world;
    return Array.from({ length: prng.between(1, 4) }, (_, i) => {
      const kind = prng.pick(this.#profile.operations);
      const isPinned = kind !== 'take';
      const all = Array.from({ length: partitions }, (__, p) => (p + 1) as PartitionId);
      const change = this.#change(kind);
      const one = kind === 'lock' || kind === 'count' ? (1 as PartitionId) : prng.pick(all);
      const query: Query = {
        space: testSpace as SpaceId,
        template: prng.pick(this.#profile.templates),
        max: 1,
        min: 1,
      };
      return {
        sequence: (i + 1) as Sequence,
        partitions: isPinned ? [one] : all,
        isPinned,
        query,
        change,
        attempt: 0,
        state: 'idle',
        isWaitEnded: change === undefined && prng.chance(1, 4),
        isCancelled: false,
        gateway: undefined,
        answer: undefined,
        tuple: undefined,
        emptySeen: new Set(),
      };
    });
  }

  #change(kind: string): Change | undefined {
    if (kind === 'write')
      return { kind: 'write', space: testSpace, tuples: [newTuple(...this.#content())] };
    if (kind === 'lock') {
      const tuple = newTuple('lock', 1);
      return { kind: 'write-if-absent', space: testSpace, tuple, absent: matchLock };
    }
    if (kind !== 'count') return undefined;
    return {
      kind: 'increment',
      space: testSpace,
      template: matchCounter,
      field: 1,
      delta: storedInt(1),
    };
  }

  #step(): void {
    this.#steps += 1;
    const { prng, bag } = this.#world;
    const choice = prng.below(100);
    if (choice < 58 && bag.length > 0) this.#deliver();
    else if (choice < 80) this.#commit();
    else if (choice < 90) this.#begin();
    else this.#fault();
  }

  #deliver(): void {
    const { prng, bag } = this.#world;
    const at = prng.below(bag.length);
    const event = bag[at] as Event;
    if (event.canRepeat && prng.chance(1, 12) && this.#spend('repeat')) {
      this.#world.note(`twice: ${event.name}`);
      event.run();
      return;
    }
    bag.splice(at, 1);
    if (event.lost !== undefined && prng.chance(1, 20) && this.#spend('lose')) {
      this.#world.note(`lost: ${event.name}`);
      event.lost();
      return;
    }
    this.#world.note(event.name);
    event.run();
  }

  #commit(): void {
    const { prng } = this.#world;
    const group = prng.pick([...this.#world.groups.values()]);
    if (group.pending.length === 0) return;
    const count = prng.between(1, group.pending.length);
    const kinds = group.pending.slice(0, count).map(({ command }) => command.kind);
    this.#world.note(`p${group.partition} commits ${kinds.join()}`);
    group.commit(count);
  }

  #begin(): void {
    const { prng } = this.#world;
    const client = prng.pick(this.#clients);
    const operation = client.operations.find(({ state }) => state === 'idle');
    const gateway = this.#living();
    if (operation !== undefined && gateway !== undefined) client.attempt(operation, gateway);
  }

  #living(): SimGateway | undefined {
    const living = this.#gateways.filter(({ isDead }) => !isDead);
    return living.length === 0 ? undefined : this.#world.prng.pick(living);
  }

  #spend(what: string): boolean {
    const left = this.#budget[what] ?? 0;
    if (left === 0) return false;
    this.#budget[what] = left - 1;
    return true;
  }

  #openTake(): { readonly client: SimClient; readonly operation: SimOperation } | undefined {
    const open = this.#clients.flatMap((client) =>
      client.operations
        .filter(({ state, change }) => state === 'open' && change === undefined)
        .map((operation) => ({ client, operation })),
    );
    return open.length === 0 ? undefined : this.#world.prng.pick(open);
  }

  #fault(): void {
    const { prng } = this.#world;
    const what = prng.pick(Object.keys(this.#budget).filter((each) => !onTheWay.has(each)));
    if (!this.#spend(what)) return;
    const group = prng.pick([...this.#world.groups.values()]);
    const gateway = prng.pick(this.#gateways);
    const client = prng.pick(this.#clients);
    const open = this.#openTake();
    switch (what) {
      case 'elect':
        this.#elect(group);
        return;
      case 'stepDown':
        group.stepDown();
        return;
      case 'kill':
        if (this.#gateways.filter(({ isDead }) => !isDead).length < 2) return;
        this.#world.note(`gateway ${gateway.id} dies`);
        gateway.isDead = true;
        return;
      case 'gone':
        if (gateway.isDead) group.present.leader.coordinatorGone(gateway.id);
        return;
      case 'retry':
        this.#retry();
        return;
      case 'time':
        this.#pass(prng.pick([50, 210, 600]));
        return;
      case 'giveUp':
        this.#world.note(`client ${client.id} gives up`);
        client.giveUp();
        if (prng.chance(1, 2)) client.close();
        return;
      case 'relink':
        this.#world.note(`link ${gateway.id} to p${group.partition} breaks`);
        this.#world.breakLink(gateway.id, group.partition);
        return;
      case 'resend':
        for (const operation of client.operations) client.acknowledge(operation);
        return;
      default:
        if (open !== undefined) this.#endTake(what, open.client, open.operation);
    }
  }

  #elect(group: SimGroup): void {
    const kept = this.#world.prng.between(0, group.pending.length);
    this.#world.note(
      `p${group.partition} elects e${group.epoch + 1}, ${kept} of ${group.pending.length} kept`,
    );
    group.elect(kept);
    const { partition, epoch } = group;
    for (const gateway of this.#gateways) {
      this.#world.bag.push({
        name: `gateway ${gateway.id} learns of p${partition} e${epoch}`,
        run: () => gateway.leadership(partition, epoch),
        canRepeat: true,
      });
    }
  }

  #retry(): void {
    const { prng } = this.#world;
    const client = prng.pick(this.#clients);
    const open = client.operations.filter(({ state }) => state === 'open');
    const gateway = this.#living();
    if (open.length > 0 && gateway !== undefined) client.attempt(prng.pick(open), gateway);
  }

  #endTake(what: string, client: SimClient, operation: SimOperation): void {
    const { gateway } = operation;
    const identity = client.identity(operation);
    this.#world.note(`client ${client.id} op ${operation.sequence}: ${what}`);
    if (what === 'waitEnd') {
      operation.isWaitEnded = true;
      gateway?.waitEnded(identity);
    } else if (what === 'cancel') {
      operation.isCancelled = true;
      gateway?.cancel(identity);
    } else if (what === 'cancelElsewhere') {
      operation.isCancelled = true;
      const other = this.#living();
      if (other !== undefined) client.attempt(operation, other);
    }
  }

  #pass(ms: number): void {
    this.#world.note(`${ms} ms pass`);
    this.#world.nowMs += ms;
    for (const group of this.#world.groups.values()) group.tick();
    for (const gateway of this.#gateways) gateway.tick();
  }

  /** No faults any more: everything is delivered, applied, retried and ended until nothing moves. */
  #rest(): void {
    this.#world.note('rest');
    const groups = [...this.#world.groups.values()];
    for (const group of groups) group.stepDown();
    for (const client of this.#clients) {
      for (const operation of client.operations) {
        const gateway = this.#living();
        if (operation.state === 'idle' && gateway !== undefined) client.attempt(operation, gateway);
      }
    }
    for (let round = 0; round < 40; round += 1) {
      this.#drain();
      if (round > 3 && this.#isStill()) return;
      this.#pass(250);
      this.#moveClients();
    }
    throw new Violation(`no rest: ${this.#open()}`);
  }

  #drain(): void {
    const { prng, bag } = this.#world;
    for (let steps = 0; ; steps += 1) {
      if (steps > 20_000) throw new Violation('no rest: messages beget messages');
      const groups = [...this.#world.groups.values()].filter(({ pending }) => pending.length > 0);
      if (bag.length === 0 && groups.length === 0) return;
      this.#steps += 1;
      if (groups.length > 0 && (bag.length === 0 || prng.chance(1, 4))) this.#commitAll(groups);
      else {
        const [event] = bag.splice(prng.below(bag.length), 1);
        this.#world.note(event?.name ?? '');
        event?.run();
      }
    }
  }

  #commitAll(groups: readonly SimGroup[]): void {
    const group = this.#world.prng.pick(groups);
    const kinds = group.pending.map(({ command }) => command.kind);
    this.#world.note(`p${group.partition} commits ${kinds.join()}`);
    group.commit(group.pending.length);
  }

  #moveClients(): void {
    for (const client of this.#clients) {
      if (client.isGivenUp) {
        const home = Math.floor(client.session / 2 ** 44) as PartitionId;
        if (this.#world.group(home).space.home(client.session)?.state === 'open') client.close();
        continue;
      }
      for (const operation of client.operations) {
        client.acknowledge(operation);
        const gateway = this.#living();
        const isHeld = this.#isHeld(client, operation);
        if (operation.state === 'open' && !isHeld && gateway !== undefined)
          client.attempt(operation, gateway);
      }
    }
  }

  /** Whether a living gateway works at the newest attempt. */
  #isHeld(client: SimClient, operation: SimOperation): boolean {
    const { gateway, attempt, sequence } = operation;
    if (gateway === undefined || gateway.isDead) return false;
    for (const { operation: held } of gateway.open()) {
      if (held.session === client.session && held.sequence === sequence && held.attempt === attempt)
        return true;
    }
    return false;
  }

  /** What still goes on, for a message. */
  #open(): string {
    const open = this.#clients.flatMap(({ id, isGivenUp, operations }) =>
      operations
        .filter(({ state }) => state !== 'closed')
        .map(({ sequence, attempt, state, isWaitEnded, isCancelled, change }) => {
          const flags = `${isWaitEnded ? ' ended' : ''}${isCancelled ? ' cancelled' : ''}`;
          return `${id}${isGivenUp ? ' (gave up)' : ''} op ${sequence} a${attempt} ${change?.kind ?? 'take'} ${state}${flags}`;
        }),
    );
    return open.join('; ');
  }

  #isStill(): boolean {
    return this.#clients.every((client) => {
      if (client.isGivenUp) {
        const home = Math.floor(client.session / 2 ** 44) as PartitionId;
        return this.#world.group(home).space.home(client.session) === undefined;
      }
      return client.operations.every((operation) => {
        const { state, change, isWaitEnded, isCancelled } = operation;
        if (state === 'closed') return true;
        const mustEnd =
          state === 'receipting' || change !== undefined || isWaitEnded || isCancelled;
        return !mustEnd && this.#isHeld(client, operation);
      });
    });
  }

  /** Each increment that was answered is in the counter once, and nothing else is. */
  #checkCounter(): void {
    const { incrementsApplied, counts } = this.#invariants;
    if (counts.incremented > incrementsApplied)
      throw new Violation('an answered increment is lost');
    const unsure = this.#clients
      .filter(({ isGivenUp }) => isGivenUp)
      .flatMap(({ operations }) => operations);
    const mayBe = unsure.filter(({ change }) => change?.kind === 'increment').length;
    if (incrementsApplied > counts.incremented + mayBe)
      throw new Violation('an increment acted twice');
  }
}

function openEntry(): Entry {
  return {
    stampMs: 1 as StampMs,
    command: { kind: 'open-session', leaseMs: 1_000_000_000, name: '' },
  };
}

/** Runs the schedule of one seed. */
export function simulate(seed: number): SimulationReport {
  return { seed, ...new Simulation(seed).run() };
}
