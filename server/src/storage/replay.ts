/** Takes in the records of a log in order, and says what each group is afterwards. */
import { unreachable } from '../base/assert.ts';
import type { GroupId, LogIndex, Term } from '../base/ids.ts';
import { LogContents } from './contents.ts';
import { type DamagePlace, LogDamaged } from './damage.ts';
import {
  type HardState,
  indexZero,
  type LogEntry,
  type RecoveredGroup,
  type ReplicaRecord,
  type SnapshotBase,
} from './entry.ts';
import { GroupTable } from './groups.ts';
import { type GroupSummary, type LogRecord, readRecords } from './record.ts';
import { logFolder } from './segments.ts';

/** What was read back, so far. */
export class Replay {
  readonly table: GroupTable = new GroupTable();
  readonly contents: LogContents = new LogContents();
  readonly #bases: ReadonlyMap<GroupId, SnapshotBase> | undefined;
  readonly #rewinds: ReadonlySet<GroupId>;
  /** The entries that will be handed out; contiguous within a group. */
  readonly #entries = new Map<GroupId, LogEntry[]>();
  #headDue = false;

  /**
   * Entries at or below the bases are not kept; without bases, those below the newest marks. Of groups
   * in `rewinds` nothing but the base is.
   */
  constructor(
    bases: ReadonlyMap<GroupId, SnapshotBase> | undefined,
    rewinds: ReadonlySet<GroupId> = new Set(),
  ) {
    this.#bases = bases;
    this.#rewinds = rewinds;
  }

  /** A segment begins: its first record must be its head. */
  enter(segment: number): void {
    this.contents.enter(segment);
    this.#headDue = true;
  }

  /** Takes in a frame's body, which nobody else holds. Throws LogDamaged. */
  take(body: Uint8Array, place: DamagePlace): void {
    const see = (record: LogRecord): void => {
      const wrong = this.#see(record);
      if (wrong !== undefined) throw new LogDamaged(wrong, place);
    };
    if (!readRecords(body, 0, body.length, see)) {
      throw new LogDamaged('a frame holds something other than records', place);
    }
    if (this.#headDue) throw new LogDamaged('a segment begins without its head', place);
  }

  /** The groups with their entries. Throws LogDamaged where entries are missing. */
  finish(): readonly RecoveredGroup[] {
    return this.groups().map((group) => {
      const found = this.recover(group);
      if (typeof found === 'string') {
        throw new LogDamaged(`of group ${group}, ${found}`, { file: logFolder, offset: 0 });
      }
      return found;
    });
  }

  /** The groups that the log or a base is of. */
  groups(): readonly GroupId[] {
    for (const group of this.#bases?.keys() ?? []) this.table.of(group);
    return this.table.summaries().map(({ mark }) => mark.group);
  }

  /** A group's entries after its base, whether they go on from it or not. */
  entriesOf(group: GroupId): readonly LogEntry[] {
    return this.#entries.get(group) ?? [];
  }

  /** A group with its entries; what is missing, where it cannot go on. */
  recover(group: GroupId): RecoveredGroup | string {
    const state = this.table.of(group);
    const base = this.#base(group);
    const { index = 0, replica: of = 0 } = this.#bases?.get(group) ?? {};
    if (index > 0 && this.contents.count === 0)
      return 'nothing is in it, though there is a snapshot';
    // A replica is durable before it may get a snapshot.
    if (of > (state.replica?.replica ?? 0))
      return `replica ${of} is not in it, though it has a snapshot`;
    // A snapshot from elsewhere, whose mark was lost in a power cut, is the log from there on.
    const replaced = this.#rewinds.has(group) || state.isReplacedBy(base);
    const found = replaced ? [] : (this.#entries.get(group) ?? []);
    const entries = found.filter((entry) => entry.index > base.index);
    const lastIndex = replaced ? base.index : state.lastIndex;
    const first = entries[0]?.index ?? lastIndex + 1;
    if (first > base.index + 1)
      return `entries ${base.index + 1} to ${first - 1} are not in it or a usable snapshot`;
    const lastTerm = replaced ? base.term : state.lastTerm;
    return {
      replica: state.replica,
      hardState: hardStateFor(state.hardState, { base: base.index, lastIndex, lastTerm }),
      snapshotMark: state.mark,
      base: base.index,
      entries,
      lastIndex,
    };
  }

  /** What the group's state begins with, as far as is known: a snapshot of another replica is none. */
  #base(group: GroupId): SnapshotBase {
    const { mark, replica } = this.table.of(group);
    if (this.#bases === undefined) return mark;
    const base = this.#bases.get(group);
    const counts = replica?.state !== 'removed' && (base?.replica ?? 0) === (replica?.replica ?? 0);
    return base !== undefined && counts ? base : { group, index: indexZero, term: 0 };
  }

  /** What is wrong with a record, if anything. */
  #see(record: LogRecord): string | undefined {
    if (record.kind === 'head') return this.#seeHead(record.segment, record.groups);
    if (this.#headDue) return 'a segment begins without its head';
    switch (record.kind) {
      case 'entry':
        return this.#seeEntry(record.entry);
      case 'mark': {
        const { group, index } = record.mark;
        if (record.resets) this.#clear(group);
        this.table.of(group).seeMark(record.mark, record.resets);
        this.#forget(group, index);
        return undefined;
      }
      case 'hard-state':
        this.table.of(record.state.group).hardState = record.state;
        return undefined;
      case 'replica':
        return this.#seeReplica(record.replica);
      default:
        return unreachable(record);
    }
  }

  #seeReplica(record: ReplicaRecord): string | undefined {
    const { group, replica } = record;
    const state = this.table.of(group);
    if (!state.admitsReplica(record)) return `replica ${replica} of group ${group} is out of order`;
    this.#clear(group);
    state.seeReplica(record);
    return undefined;
  }

  /** What the group has so far counts no more. */
  #clear(group: GroupId): void {
    this.#entries.delete(group);
    this.contents.void(group, 1);
  }

  #seeHead(segment: number, groups: readonly GroupSummary[]): string | undefined {
    if (!this.#headDue || this.contents.newest !== segment) return 'a head is not where it belongs';
    this.#headDue = false;
    if (this.contents.count === 1) {
      for (const summary of groups) this.table.of(summary.mark.group).restore(summary);
    }
    // Written as the sum of what was before it, it must be that when read.
    else if (!sameSummaries(groups, this.table.summaries())) {
      return 'a head contradicts the frames before it';
    }
    return undefined;
  }

  #seeEntry(entry: LogEntry): string | undefined {
    const state = this.table.of(entry.group);
    if (!state.admits(entry)) return `entry ${entry.index} of group ${entry.group} is out of order`;
    if (entry.index <= state.lastIndex) this.contents.void(entry.group, entry.index);
    this.contents.note(entry);
    state.seeEntry(entry);
    let entries = this.#entries.get(entry.group);
    if (entries === undefined) {
      entries = [];
      this.#entries.set(entry.group, entries);
    }
    const first = entries[0];
    if (first !== undefined && entry.index < first.index + entries.length) {
      entries.length = Math.max(0, entry.index - first.index);
    }
    if (entry.index > this.#base(entry.group).index) entries.push(entry);
    return undefined;
  }

  /** Without bases, what a mark covers is not handed out. */
  #forget(group: GroupId, index: number): void {
    if (this.#bases !== undefined) return;
    const entries = this.#entries.get(group);
    const first = entries?.[0];
    if (entries === undefined || first === undefined) return;
    entries.splice(0, Math.max(0, index + 1 - first.index));
  }
}

/**
 * A hard state that fits its log. What is in a snapshot is committed, and what is not there is not. A
 * snapshot from elsewhere may be of a term that was not written yet; nobody has had a vote in it then.
 */
function hardStateFor(
  hardState: HardState,
  log: { base: LogIndex; lastIndex: LogIndex; lastTerm: Term | 0 },
): HardState {
  const commit = Math.min(Math.max(hardState.commit, log.base), log.lastIndex) as LogIndex;
  if (log.lastTerm <= hardState.term) return { ...hardState, commit };
  return { ...hardState, term: log.lastTerm, vote: 0, commit };
}

function sameSummaries(ones: readonly GroupSummary[], others: readonly GroupSummary[]): boolean {
  const numbers = ({
    hardState,
    mark,
    previousMark,
    lastIndex,
    lastTerm,
    replica,
  }: GroupSummary): unknown => [
    [replica?.replica, replica?.state],
    [hardState.group, hardState.term, hardState.vote, hardState.commit],
    [mark.index, mark.term, previousMark.index, previousMark.term, lastIndex, lastTerm],
  ];
  return JSON.stringify(ones.map(numbers)) === JSON.stringify(others.map(numbers));
}
