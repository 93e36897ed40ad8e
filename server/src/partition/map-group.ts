import { hash64, type Writer } from '@tuplet/proto';
import type { GroupId, LogIndex, SpaceId, StampMs, Term } from '../base/ids.ts';
import { mapCallsMax } from '../base/limits.ts';
import type { ClusterMap } from '../cluster/cluster-map.ts';
import { encodeMapEntry, encodeMapState } from '../cluster/map-codec.ts';
import type {
  LeadMapCommand,
  MapCommand,
  MapOutcome,
  MapProblem,
  SpaceSettings,
} from '../cluster/map-command.ts';
import { spaceNameProblem, spaceSettingsProblem } from '../cluster/space-checks.ts';
import { Group, type GroupCut, type GroupPast } from './group.ts';
import type { PendingEntry } from './group-log.ts';

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
  /** A space was dropped: its tuples must go. */
  dropped(space: SpaceId): void;
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

  constructor(map: ClusterMap, past: GroupPast, hooks: MapHooks) {
    super(0 as GroupId, past);
    this.map = map;
    this.#hooks = hooks;
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

  /** Proposes any command of the map. */
  call(command: MapCommand, nowMs: number, answer: MapAnswer): void {
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

  protected override applyEntry(entry: PendingEntry<MapCommand>): void {
    const outcome = this.map.apply(entry.index, entry);
    if (outcome.kind === 'dropped') this.#hooks.dropped(outcome.space.id);
    const answer = this.#calls.get(entry.index);
    if (answer === undefined) return;
    this.#calls.delete(entry.index);
    answer(outcome);
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
