/** The replicas of one group in one process, for tests: disks and state machines that can be held up, no time. */
import { present } from '../base/assert.ts';
import type { Clock } from '../base/doors.ts';
import type { GroupId, LogIndex } from '../base/ids.ts';
import { electionTicks } from '../base/limits.ts';
import { Prng } from '../base/prng.ts';
import { type ChangeStep, Transition } from '../raft/change.ts';
import { type Message, MessageKind, noBytes } from '../raft/message.ts';
import { foundingStart, joiningStart } from './founding.ts';
import type { Group, GroupPast, GroupSurroundings } from './group.ts';
import { Payloads } from './payloads.ts';
import { Replica, type ReplicaPorts, type ReplicaStart, type TurnBatch } from './replica.ts';
import { Slice } from './slice.ts';

/** A clock that stands still, so that no slice ends. */
export const standingClock: Clock = {
  monotonicMs: () => 0,
  wallMs: () => 0,
  after: () => () => undefined,
  soon: () => undefined,
};

/** Makes what is under test around a replica; its state machine has passed the founding. */
export type MakeGroup<G> = (
  replica: Replica,
  around: GroupSurroundings,
  passed: LogIndex,
  past: GroupPast,
) => G;

type DrivenGroup = Group<never>;

/** An empty batch, as a turn begins with. */
export function emptyBatch(): TurnBatch {
  return { entries: [], hardStates: [], works: [] };
}

/** One replica, its group and its disk. */
export class Member<G extends Pick<DrivenGroup, keyof DrivenGroup>> {
  readonly id: number;
  readonly replica: Replica;
  readonly group: G;
  /** What its operating system believes about 1970. */
  wallMs = 1_000;
  /** Batches that its disk has been given and not written. */
  readonly batches: TurnBatch[] = [];
  /** Messages that it has sent and nobody has taken. */
  sent: Message[] = [];
  /** Whether what it writes waits for `write`. */
  isDiskHeld = false;
  /** Whether what is committed waits to be applied. */
  isApplyHeld = false;
  isStirred = false;
  readonly slice: Slice = new Slice(standingClock);

  constructor(start: ReplicaStart, make: MakeGroup<G>) {
    this.id = start.id;
    const ports: ReplicaPorts = {
      send: (message) => this.sent.push(message),
      stirred: () => {
        this.isStirred = true;
      },
    };
    this.replica = new Replica(start, ports, { random: new Prng(start.id, 'member') });
    const around = { payloads: new Payloads({ isKept: true }), wallMs: () => this.wallMs };
    const past: GroupPast = { tailBytes: 0, snapshotBytes: 0, appliedTerm: 0 };
    this.group = make(this.replica, around, start.applied, past);
  }

  /** One turn, in the order of the turn loop's. */
  turn(nowMs: number): void {
    this.isStirred = false;
    this.slice.begin(1);
    this.group.settleRole(nowMs);
    this.group.goOnHandingOver(nowMs);
    this.collect(nowMs);
    if (!this.isDiskHeld) while (this.batches.length > 0) this.write();
    if (!this.isApplyHeld) this.group.applyCommitted(this.slice, Number.POSITIVE_INFINITY);
    this.collect(nowMs);
    if (!this.isDiskHeld) while (this.batches.length > 0) this.write();
  }

  /** What the replica wants written, as a batch; also kept for `write` where somebody waits for it. */
  collect(nowMs = 0): TurnBatch {
    const batch = emptyBatch();
    this.replica.collect(batch);
    this.group.settleRole(nowMs);
    if (batch.works.length > 0) this.batches.push(batch);
    return batch;
  }

  /** The oldest batch is durable. */
  write(): void {
    const batch = present(this.batches.shift(), 'something is to be written');
    for (const { replica, work } of batch.works) replica.written(work);
  }
}

/** See the top of the file. */
export class Members<G extends Pick<DrivenGroup, keyof DrivenGroup>> {
  readonly all: Member<G>[] = [];
  nowMs = 0;
  readonly #groupId: GroupId;
  readonly #make: MakeGroup<G>;
  /** Whom nothing reaches, and who reaches nobody. */
  readonly cut: Set<number> = new Set();
  /** Messages that get lost. */
  loses: (message: Message) => boolean = () => false;

  constructor(count: number, make: MakeGroup<G>, groupId: GroupId = 1 as GroupId) {
    this.#groupId = groupId;
    this.#make = make;
    const ids = Array.from({ length: count }, (_, at) => at + 1);
    for (const replica of ids) {
      this.all.push(new Member(foundingStart(groupId, replica, ids), make));
    }
  }

  /** One that knows nothing yet. */
  join(id: number): Member<G> {
    const member = new Member(joiningStart(this.#groupId, id), this.#make);
    this.all.push(member);
    return member;
  }

  of(id: number): Member<G> {
    return present(
      this.all.find((member) => member.id === id),
      'it is a member',
    );
  }

  /** Turns and messages until there is nothing more to do or to say. */
  exchange(): void {
    for (let again = true; again; ) {
      again = false;
      for (const member of this.all) {
        if (!member.isStirred) continue;
        member.turn(this.nowMs);
        again = true;
      }
      for (const message of this.#takeSent()) {
        this.#deliver(message);
        again = true;
      }
    }
  }

  /** One replica is elected, and what its leadership begins with is applied. */
  lead(id: number): Member<G> {
    const member = this.of(id);
    // Else they would keep to whomever they have heard of.
    for (const other of this.all) {
      for (let tick = 0; other !== member && tick < electionTicks; tick += 1) other.replica.tick();
      other.collect(this.nowMs);
      other.sent = [];
    }
    member.replica.campaign();
    this.exchange();
    return member;
  }

  /** Ticks of every replica, with what they say. */
  tick(count: number): void {
    for (let tick = 0; tick < count; tick += 1) {
      for (const member of this.all) {
        member.replica.tick();
        member.group.settleRole(this.nowMs);
      }
      this.exchange();
    }
  }

  /** Proposes a change of the configuration at a member, which leads. */
  change(at: number, ...steps: ChangeStep[]): void {
    this.of(at).replica.proposeChange({ transition: Transition.auto, steps, context: noBytes });
    this.exchange();
  }

  #takeSent(): Message[] {
    return this.all.flatMap((member) => member.sent.splice(0));
  }

  #deliver(message: Message): void {
    const { from, to } = message;
    if (this.cut.has(from) || this.cut.has(to) || this.loses(message)) return;
    const target = this.all.find(({ id }) => id === to);
    if (target === undefined) return;
    if (message.kind === MessageKind.voteAnswer && !message.reject) {
      target.group.votedFor(from, message.term, this.of(from).wallMs);
    }
    target.replica.step(message);
  }
}
