/** Gateways of the simulation: they hold the callers' sides of takes and changes, as a router does. */
import type { PartitionId, Term } from '../base/ids.ts';
import type { SessionOperation } from '../space/command.ts';
import type { Change, CoordinatorId, FromLeader, Query, ToLeader } from './messages.ts';
import { PinnedTake } from './pinned-take.ts';
import type { TakeAnswer } from './take-answer.ts';
import { TakeCoordinator } from './take-coordinator.ts';
import type { World } from './testing-world.ts';

/** How an attempt ended, for the client. */
export type Answer = TakeAnswer | { readonly kind: 'unchanged' };

/** What a client asks of a gateway: one attempt. */
export interface Request {
  readonly operation: SessionOperation;
  readonly partitions: readonly PartitionId[];
  readonly isPinned: boolean;
  readonly query: Query;
  /** Undefined: a take. */
  readonly change: Change | undefined;
  readonly isWaitEnded: boolean;
  readonly isCancelled: boolean;
  answer(answer: Answer): void;
}

/** A change's way to its partition: sent again for a new epoch or link, as T1 sends a take. */
class ChangeCall {
  readonly #request: Request;
  readonly #partition: PartitionId;
  readonly #send: (m: number, epoch: Term) => void;
  #epoch: Term | undefined;
  #m = 0;
  isFinished = false;

  constructor(request: Request, epoch: Term | undefined, send: (m: number, epoch: Term) => void) {
    this.#request = request;
    this.#partition = request.partitions[0] as PartitionId;
    this.#epoch = epoch;
    this.#send = send;
  }

  again(): void {
    if (this.isFinished || this.#epoch === undefined) return;
    this.#m += 1;
    this.#send(this.#m, this.#epoch);
  }

  leadership(epoch: Term | undefined): void {
    if (epoch === undefined || (this.#epoch !== undefined && epoch <= this.#epoch)) return;
    this.#epoch = epoch;
    this.again();
  }

  receive(message: FromLeader): void {
    if (this.isFinished) return;
    const partition = this.#partition;
    if (message.kind === 'stop') this.#finish({ kind: 'stop', why: message.why });
    else if (message.kind === 'not-leader') this.again();
    else if (message.kind === 'result' && message.m === this.#m) {
      this.#finish({ kind: 'result', partition, result: message.result });
    } else if (message.kind === 'unchanged' && message.m === this.#m) {
      this.#finish({ kind: 'unchanged' });
    } else if (message.kind === 'refused' && message.m === this.#m) {
      this.#finish({ kind: 'refused', reason: message.reason, message: message.message });
    }
  }

  #finish(answer: Answer): void {
    this.isFinished = true;
    this.#request.answer(answer);
  }
}

type Call =
  | { readonly kind: 'take'; readonly request: Request; readonly machine: TakeCoordinator }
  | { readonly kind: 'pinned'; readonly request: Request; readonly machine: PinnedTake }
  | { readonly kind: 'change'; readonly request: Request; readonly machine: ChangeCall };

/** One life of a gateway process. */
export class SimGateway {
  readonly id: CoordinatorId;
  readonly #world: World;
  readonly #epochs = new Map<PartitionId, Term>();
  readonly #calls = new Map<number, Call>();
  isDead = false;

  constructor(world: World, id: CoordinatorId) {
    this.#world = world;
    this.id = id;
    for (const group of world.groups.values()) this.#epochs.set(group.partition, group.epoch);
  }

  /** Attempts that it still works at. */
  *open(): IterableIterator<Request> {
    for (const { machine, request } of this.#calls.values()) if (!machine.isFinished) yield request;
  }

  begin(request: Request): void {
    if (this.isDead) return;
    const call = this.id * 1_000 + this.#calls.size;
    if (request.change !== undefined) this.#beginChange(call, request, request.change);
    else if (request.isPinned) this.#beginPinned(call, request);
    else this.#beginTake(call, request);
  }

  receive(message: FromLeader): void {
    if (this.isDead) return;
    const call = this.#calls.get(message.call);
    if (call === undefined) return;
    if (call.kind === 'take') call.machine.receive(message, this.#world.nowMs);
    else call.machine.receive(message);
  }

  leadership(partition: PartitionId, epoch: Term): void {
    if (this.isDead || epoch <= (this.#epochs.get(partition) ?? 0)) return;
    this.#epochs.set(partition, epoch);
    for (const { kind, machine, request } of this.#calls.values()) {
      if (!request.partitions.includes(partition)) continue;
      if (kind === 'take') machine.leadership(partition, epoch, this.#world.nowMs);
      else if (kind === 'pinned') machine.leadership(epoch, this.#world.nowMs);
      else machine.leadership(epoch);
    }
  }

  relink(partition: PartitionId): void {
    if (this.isDead) return;
    for (const { kind, machine, request } of this.#calls.values()) {
      if (!request.partitions.includes(partition)) continue;
      if (kind === 'take') {
        machine.linkBroken(partition);
        machine.linkRestored(partition, this.#world.nowMs);
      } else if (kind === 'pinned') {
        machine.linkBroken();
        machine.linkRestored(this.#world.nowMs);
      } else machine.again();
    }
  }

  waitEnded(operation: SessionOperation): void {
    for (const { kind, machine, request } of this.#calls.values()) {
      if (!sameAttempt(request.operation, operation) || kind === 'change') continue;
      machine.waitEnded(this.#world.nowMs);
    }
  }

  cancel(operation: SessionOperation): void {
    for (const { kind, machine, request } of this.#calls.values()) {
      if (!sameAttempt(request.operation, operation) || kind === 'change') continue;
      machine.cancel(this.#world.nowMs);
    }
  }

  tick(): void {
    if (this.isDead) return;
    for (const { kind, machine } of this.#calls.values()) {
      if (kind !== 'change') machine.tick(this.#world.nowMs);
    }
  }

  #send(to: PartitionId, message: ToLeader): void {
    this.#world.toLeader(this.id, to, message, this.#epochs.get(to));
  }

  #beginTake(call: number, request: Request): void {
    const { operation, query } = request;
    const machine = new TakeCoordinator({
      call,
      operation,
      query,
      partitions: request.partitions,
      epochOf: (each) => this.#epochs.get(each),
      ports: {
        send: (to, message) => this.#send(to, message),
        finish: request.answer,
      },
      nowMs: this.#world.nowMs,
    });
    this.#calls.set(call, { kind: 'take', request, machine });
    machine.start();
    if (request.isWaitEnded) machine.waitEnded(this.#world.nowMs);
    if (request.isCancelled) machine.cancel(this.#world.nowMs);
  }

  #beginPinned(call: number, request: Request): void {
    const { operation, query } = request;
    const partition = request.partitions[0] as PartitionId;
    const machine = new PinnedTake({
      call,
      operation,
      query,
      partition,
      epoch: this.#epochs.get(partition),
      ports: {
        send: (to, message) => this.#send(to, message),
        finish: request.answer,
      },
      nowMs: this.#world.nowMs,
    });
    this.#calls.set(call, { kind: 'pinned', request, machine });
    machine.start(this.#world.nowMs);
    if (request.isWaitEnded) machine.waitEnded(this.#world.nowMs);
    if (request.isCancelled) machine.cancel(this.#world.nowMs);
  }

  #beginChange(call: number, request: Request, change: Change): void {
    const partition = request.partitions[0] as PartitionId;
    const { operation } = request;
    const machine = new ChangeCall(request, this.#epochs.get(partition), (m, epoch) =>
      this.#world.toLeader(this.id, partition, {
        kind: 'mutate',
        call,
        operation,
        epoch,
        m,
        change,
      }),
    );
    this.#calls.set(call, { kind: 'change', request, machine });
    machine.again();
  }
}

function sameAttempt(a: SessionOperation, b: SessionOperation): boolean {
  return a.session === b.session && a.sequence === b.sequence && a.attempt === b.attempt;
}
