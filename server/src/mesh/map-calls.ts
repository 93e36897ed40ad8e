import type { Cancel, Clock } from '../base/doors.ts';
import type { NodeId, Term } from '../base/ids.ts';
import { mapAgainMs, mapCallMs, mapCallsMax, mapSeenMs } from '../base/limits.ts';
import type { ClusterMap } from '../cluster/cluster-map.ts';
import type { MapOutcome, MapProblem, SpaceSettings } from '../cluster/map-command.ts';
import type { PlacementCommand } from '../cluster/placement-types.ts';
import { spaceNameProblem, spaceSettingsProblem } from '../cluster/space-checks.ts';
import type { MapAnswer } from '../partition/map-group.ts';
import type { MapPort } from '../partition/map-port.ts';
import type { CoordinationItem } from '../transport/coordination-codec.ts';
import type { MapCallCommand } from '../transport/map-call-codec.ts';
import type { KnownLeader } from './leaders.ts';

/** What changes of the map are made with. */
export interface MapCallsOptions {
  readonly self: NodeId;
  readonly clock: Clock;
  /** Group 0, as this node has it. */
  readonly map: MapPort;
  /** To a node that is connected. */
  readonly say: (to: NodeId, item: CoordinationItem) => void;
  /** Another node leads the map, or this one does again. */
  readonly newLeader?: () => void;
}

/** A change that is neither made nor refused yet. */
interface Call {
  readonly command: MapCallCommand;
  readonly answer: MapAnswer;
  /** Ends its time. */
  cancelEnd: Cancel;
  /** Keeps it from being tried again. */
  cancelAgain: Cancel;
}

/** A call that somebody may carry out. */
interface Sent {
  readonly call: Call;
  readonly to: NodeId;
}

const nothing: Cancel = () => undefined;

/**
 * Changes of the cluster map at any node: made here where group 0 is led here, else by the node that
 * leads it. Whatever surely did not happen, because nobody led, is tried again with the next leader.
 */
export class MapCalls implements Pick<MapPort, 'cluster' | 'createSpace' | 'dropSpace' | 'place'> {
  readonly #options: MapCallsOptions;
  /** The newest leadership that this node has heard of, and can reach. */
  #leader: KnownLeader | undefined;
  /** By node that is connected: stands for this connection alone. */
  readonly #links = new Map<NodeId, object>();
  // Invariant: a call is in one of these, or answered, or made and not yet seen here; #open counts all three.
  readonly #waiting = new Set<Call>();
  /** By the number of the sending. */
  readonly #sent = new Map<number, Sent>();
  #open = 0;
  #lastNumber = 0;
  #isLeaving = false;

  constructor(options: MapCallsOptions) {
    this.#options = options;
    options.map.onServing((epoch) => this.#serves(epoch));
    const epoch = options.map.epoch();
    if (epoch !== undefined) this.#serves(epoch);
  }

  /** The map as this node has it. */
  get cluster(): ClusterMap {
    return this.#options.map.cluster;
  }

  /** The node that leads the map, as far as this one has heard, and can reach it. */
  get leader(): NodeId | undefined {
    return this.#leader?.node;
  }

  createSpace(name: string, settings: SpaceSettings, answer: MapAnswer): void {
    const problem = spaceNameProblem(name, 'name') ?? spaceSettingsProblem(settings);
    if (problem !== undefined) answer({ kind: 'refused', problem });
    else this.#begin({ kind: 'create-space', name, settings }, answer);
  }

  dropSpace(name: string, answer: MapAnswer): void {
    // No space can have such a name, and other nodes are not asked with it.
    if (spaceNameProblem(name, 'name') !== undefined) {
      answer(refused('SPACE_NOT_FOUND', 'no space has such a name', 'name'));
    } else this.#begin({ kind: 'drop-space', name }, answer);
  }

  place(command: PlacementCommand, answer: MapAnswer): void {
    this.#begin(command, answer);
  }

  /** The node takes no more changes: what waits for a leader ends, what was sent goes on. */
  leave(): void {
    this.#isLeaving = true;
    for (const call of this.#waiting) {
      this.#settle(call, refused('SHUTTING_DOWN', 'the node is not serving'));
    }
  }

  /** All that is left ends. */
  close(): void {
    this.leave();
    for (const number of this.#sent.keys()) this.#lose(number, 'the node is not serving any more');
  }

  // What the mesh hears.

  connected(peer: NodeId): void {
    this.#links.set(peer, {});
    const epoch = this.#options.map.epoch();
    if (epoch !== undefined) this.#options.say(peer, { kind: 'map-leadership', epoch });
  }

  broken(peer: NodeId): void {
    this.#links.delete(peer);
    if (this.#leader?.node === peer) this.#leader = undefined;
    for (const [number, { to }] of this.#sent) {
      if (to === peer) this.#lose(number, `node ${peer} was lost, which leads the cluster map`);
    }
  }

  /** A node leads the map: what waits is for it. */
  leads(node: NodeId, epoch: Term): void {
    if ((this.#leader?.epoch ?? 0) >= epoch) return;
    this.#leader = { node, epoch };
    for (const call of [...this.#waiting]) this.#try(call);
    this.#options.newLeader?.();
  }

  /** A node asks for a change here. Its answer is for this connection: after it, the number is another's. */
  asked(peer: NodeId, number: number, command: MapCallCommand): void {
    const link = this.#links.get(peer);
    this.#make(command, (outcome) => {
      if (link === undefined || this.#links.get(peer) !== link) return;
      this.#options.say(peer, { kind: 'map-answer', call: number, outcome });
    });
  }

  answered(from: NodeId, number: number, outcome: MapOutcome): void {
    const sent = this.#sent.get(number);
    if (sent?.to !== from) return;
    this.#sent.delete(number);
    const { call } = sent;
    if (this.#isToBeTriedAgain(from, outcome)) {
      this.#waiting.add(call);
      // The same leadership may take it after all: it was about to hand over, and nobody took that.
      call.cancelAgain = this.#options.clock.after(mapAgainMs, () => this.#try(call));
    } else this.#settle(call, outcome);
  }

  #serves(epoch: Term): void {
    this.leads(this.#options.self, epoch);
    for (const peer of this.#links.keys()) {
      this.#options.say(peer, { kind: 'map-leadership', epoch });
    }
  }

  #begin(command: MapCallCommand, answer: MapAnswer): void {
    const problem = this.#beginProblem();
    if (problem !== undefined) {
      answer(problem);
      return;
    }
    this.#open += 1;
    const call: Call = { command, answer, cancelEnd: nothing, cancelAgain: nothing };
    call.cancelEnd = this.#options.clock.after(mapCallMs, () => this.#end(call));
    this.#waiting.add(call);
    this.#try(call);
  }

  #beginProblem(): MapOutcome | undefined {
    if (this.#isLeaving) return refused('SHUTTING_DOWN', 'the node is not serving');
    if (this.#open < mapCallsMax) return undefined;
    return refused('TOO_MANY_IN_FLIGHT', `${mapCallsMax} changes of the map are in flight`);
  }

  /** Sends a call that waits, where a leader is known. */
  #try(call: Call): void {
    call.cancelAgain();
    if (this.#leader === undefined || this.#isLeaving) return;
    const { self, say } = this.#options;
    const { node } = this.#leader;
    this.#waiting.delete(call);
    this.#lastNumber += 1;
    const number = this.#lastNumber;
    this.#sent.set(number, { call, to: node });
    if (node !== self) say(node, { kind: 'map-call', call: number, command: call.command });
    else this.#make(call.command, (outcome) => this.answered(self, number, outcome));
  }

  /** Has the host here make a change. */
  #make(command: MapCallCommand, answer: (outcome: MapOutcome) => void): void {
    const { map } = this.#options;
    if (command.kind === 'create-space') map.createSpace(command.name, command.settings, answer);
    else if (command.kind === 'drop-space') map.dropSpace(command.name, answer);
    else map.place(command, answer);
  }

  /** Whether it surely did not happen, and another leader may do it. */
  #isToBeTriedAgain(from: NodeId, outcome: MapOutcome): boolean {
    if (outcome.kind !== 'refused' || this.#isLeaving) return false;
    const { reason } = outcome.problem;
    return reason === 'NO_LEADER' || (reason === 'SHUTTING_DOWN' && from !== this.#options.self);
  }

  /** A call's time is over. */
  #end(call: Call): void {
    if (this.#waiting.has(call)) {
      this.#settle(call, refused('NO_LEADER', 'no node was found that leads the cluster map'));
    }
    for (const [number, sent] of this.#sent) {
      if (sent.call === call) this.#lose(number, 'the leader of the cluster map has not answered');
    }
  }

  /** Nobody tells any more what became of a sending. */
  #lose(number: number, why: string): void {
    const sent = this.#sent.get(number);
    this.#sent.delete(number);
    const outcome = refused('OUTCOME_UNKNOWN', `${why}: the change may have been made`);
    if (sent !== undefined) this.#settle(sent.call, outcome);
  }

  /** Answers, when what was done is seen here: whoever is told of a space goes on to use it. */
  #settle(call: Call, outcome: MapOutcome): void {
    const { map, clock } = this.#options;
    this.#waiting.delete(call);
    call.cancelAgain();
    call.cancelEnd();
    const answer = (): void => {
      cancelLook();
      cancelLate();
      this.#open -= 1;
      call.answer(outcome);
    };
    let cancelLook = nothing;
    let cancelLate = nothing;
    if (this.#isSeen(call, outcome)) {
      answer();
      return;
    }
    cancelLook = map.onChange(() => {
      if (this.#isSeen(call, outcome)) answer();
    });
    cancelLate = clock.after(mapSeenMs, answer);
  }

  #isSeen({ command }: Call, outcome: MapOutcome): boolean {
    if ('epoch' in outcome) return this.cluster.epoch >= outcome.epoch;
    if (outcome.kind !== 'refused') return true;
    // Whoever wanted the space to be there goes on with it as well.
    const isThere = outcome.problem.reason === 'SPACE_EXISTS' && command.kind === 'create-space';
    return !isThere || this.cluster.space(command.name) !== undefined;
  }
}

function refused(reason: MapProblem['reason'], message: string, field = ''): MapOutcome {
  return { kind: 'refused', problem: { reason, field, message } };
}
