import { hash64, type Writer } from '@tuplet/proto';
import type { LogIndex, StampMs, Term } from '../base/ids.ts';
import { mapCallsMax } from '../base/limits.ts';
import type { ClusterMap, ClusterMapState } from '../cluster/cluster-map.ts';
import { decodeMapEntry, encodeMapEntry, encodeMapState } from '../cluster/map-codec.ts';
import type {
  LeadMapCommand,
  MapCommand,
  MapOutcome,
  MapProblem,
  SpaceSettings,
} from '../cluster/map-command.ts';
import { spaceNameProblem, spaceSettingsProblem } from '../cluster/space-checks.ts';
import {
  Group,
  type GroupCut,
  type GroupPast,
  type GroupSurroundings,
  type StampedCommand,
} from './group.ts';
import type { Replica } from './replica.ts';

/** Hears once what became of a call to the map. */
export type MapAnswer = (outcome: MapOutcome) => void;

/** What group 0 needs of its host. */
export interface MapHooks {
  /** Whether the disk has room for more than what frees room. */
  admitsData(): boolean;
  /** Something was proposed or is to be answered: a turn is due. */
  wake(): void;
  /** The group serves from now on. */
  serving(): void;
  /** The cluster is founded. */
  founded(): void;
}

/** Group 0: the cluster map behind the node's log. */
export class MapGroup extends Group<MapCommand> {
  readonly map: ClusterMap;
  /** Who wants to know that the map has changed, at most once a turn. */
  readonly observers: Set<() => void> = new Set();
  protected readonly leadCommand: LeadMapCommand = { kind: 'lead' };
  readonly #hooks: MapHooks;
  // Invariant: every key is above what is applied, so each is answered once, when it is applied.
  readonly #calls = new Map<LogIndex, MapAnswer>();

  constructor(
    map: ClusterMap,
    parts: { replica: Replica; past: GroupPast; around: GroupSurroundings; hooks: MapHooks },
  ) {
    super(parts.replica, parts.past, parts.around);
    this.map = map;
    this.#hooks = parts.hooks;
  }

  override get appliedIndex(): LogIndex {
    return this.map.appliedIndex;
  }

  /** Creates a space. Answered once it is durable, or at once where nothing has to be asked. */
  createSpace(name: string, settings: SpaceSettings, nowMs: number, answer: MapAnswer): void {
    const problem =
      spaceNameProblem(name, 'name') ?? spaceSettingsProblem(settings) ?? this.#roomProblem();
    if (problem !== undefined) answer({ kind: 'refused', problem });
    else this.call({ kind: 'create-space', name, settings }, nowMs, answer);
  }

  /** Drops a space. Answered when that is durable; its tuples go in time. */
  dropSpace(name: string, nowMs: number, answer: MapAnswer): void {
    this.call({ kind: 'drop-space', name }, nowMs, answer);
  }

  /** Proposes any command of the map, also between turns. */
  call(command: MapCommand, nowMs: number, answer: MapAnswer): void {
    // What came since the last turn may have ended the leadership.
    this.settleRole(nowMs);
    if (!this.takesWork) {
      const message = 'the cluster map has no leader here';
      answer({ kind: 'refused', problem: { reason: 'NO_LEADER', field: '', message } });
      return;
    }
    if (this.#calls.size >= mapCallsMax) {
      const message = `${mapCallsMax} changes of the map are in flight`;
      answer({ kind: 'refused', problem: { reason: 'TOO_MANY_IN_FLIGHT', field: '', message } });
      return;
    }
    this.#calls.set(this.propose(command, nowMs), answer);
    this.#hooks.wake();
  }

  override tick(): void {}

  override cut(): GroupCut {
    const state = encodeMapState(this.map.state());
    let rest: Uint8Array | undefined = state;
    return {
      index: this.map.appliedIndex,
      term: this.appliedTerm as Term,
      stateHash: hash64(state),
      // A few hundred bytes a space: one chunk, which the snapshot writer divides.
      next: () => {
        const chunk = rest;
        rest = undefined;
        return chunk;
      },
      end: () => undefined,
    };
  }

  protected override encode(writer: Writer, stampMs: StampMs, command: MapCommand): void {
    writer.raw(encodeMapEntry({ stampMs, command }));
  }

  /** A snapshot from the group's leader is the map from now on. */
  replaceState(state: ClusterMapState, past: GroupPast): void {
    const wasFounded = this.map.founded;
    this.map.restore(state);
    this.stateReplaced(past);
    if (!wasFounded && this.map.founded) this.#hooks.founded();
  }

  protected override decode(payload: Uint8Array): StampedCommand<MapCommand> {
    return decodeMapEntry(payload);
  }

  protected override applyCommand(index: LogIndex, entry: StampedCommand<MapCommand>): void {
    const wasFounded = this.map.founded;
    const outcome = this.map.apply(index, entry);
    if (!wasFounded && this.map.founded) this.#hooks.founded();
    const answer = this.#calls.get(index);
    if (answer === undefined) return;
    this.#calls.delete(index);
    answer(outcome);
  }

  protected override pass(index: LogIndex): void {
    this.map.pass(index);
  }

  protected override get stateStampMs(): StampMs {
    return this.map.stampMs;
  }

  protected override beginLeading(): void {}

  protected override endLeading(): void {
    const message = 'the leader of the cluster map changed: the change may have been made';
    const problem: MapProblem = { reason: 'OUTCOME_UNKNOWN', field: '', message };
    const answers = [...this.#calls.values()];
    this.#calls.clear();
    for (const answer of answers) answer({ kind: 'refused', problem });
  }

  protected override flushLeader(): void {}

  protected override beginServing(): void {
    this.#hooks.serving();
  }

  #roomProblem(): MapProblem | undefined {
    if (this.#hooks.admitsData()) return undefined;
    return { reason: 'DISK_FULL', field: '', message: 'the disk is full: no space can be created' };
  }
}
