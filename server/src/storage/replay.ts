/** Takes in the records of a log in order, and says what each group is afterwards. */
import { present } from '../base/assert.ts';
import type { GroupId, LogIndex } from '../base/ids.ts';
import { type DamagePlace, LogDamaged } from './damage.ts';
import { indexZero, type LogEntry, type RecoveredGroup, type SnapshotMark } from './entry.ts';
import { GroupState, GroupTable, noteEntry, SegmentContent } from './groups.ts';
import { type GroupSummary, type LogRecord, readRecords } from './record.ts';
import { logFolder } from './segments.ts';

/** What was read back, so far. */
export class Replay {
  readonly table: GroupTable = new GroupTable();
  readonly contents: SegmentContent[] = [];
  readonly #bases: ReadonlyMap<GroupId, SnapshotMark> | undefined;
  /** The entries that will be handed out; contiguous within a group. */
  readonly #entries = new Map<GroupId, LogEntry[]>();
  #headDue = false;

  /** Entries at or below the bases are not kept; without bases, those below the newest marks. */
  constructor(bases: ReadonlyMap<GroupId, SnapshotMark> | undefined) {
    this.#bases = bases;
  }

  /** A segment begins: its first record must be its head. */
  enter(segment: number): void {
    this.contents.push(new SegmentContent(segment));
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
    const summaries = new Map(this.table.summaries().map((each) => [each.mark.group, each]));
    for (const { group, index } of this.#bases?.values() ?? []) {
      if (index > 0 && this.contents.length === 0) {
        throw missing(group, 'nothing is in it, though there is a snapshot');
      }
      if (!summaries.has(group)) summaries.set(group, new GroupState(group).summary());
    }
    const groups = [...summaries.values()].map((summary) => this.#finishGroup(summary));
    return groups.sort((one, other) => one.snapshotMark.group - other.snapshotMark.group);
  }

  #finishGroup(summary: GroupSummary): RecoveredGroup {
    const { hardState, mark } = summary;
    const { group } = mark;
    const base = this.#base(group).index;
    const entries = (this.#entries.get(group) ?? []).filter(({ index }) => index > base);
    // A snapshot from elsewhere, whose mark was lost in a power cut, is the log from there on.
    const lastIndex = Math.max(base, summary.lastIndex) as LogIndex;
    const first = entries[0]?.index ?? lastIndex + 1;
    if (first > base + 1) {
      throw missing(
        group,
        `entries ${base + 1} to ${first - 1} are not in it or a usable snapshot`,
      );
    }
    return { hardState, snapshotMark: mark, base, entries, lastIndex };
  }

  #base(group: GroupId): SnapshotMark {
    if (this.#bases === undefined) return this.table.of(group).mark;
    return this.#bases.get(group) ?? { group, index: indexZero, term: 0 };
  }

  /** What is wrong with a record, if anything. */
  #see(record: LogRecord): string | undefined {
    if (record.kind === 'head') return this.#seeHead(record.segment, record.groups);
    if (this.#headDue) return 'a segment begins without its head';
    if (record.kind === 'entry') return this.#seeEntry(record.entry);
    if (record.kind === 'mark') {
      const { group, index } = record.mark;
      const state = this.table.of(group);
      if (index > state.lastIndex) this.#entries.delete(group);
      state.seeMark(record.mark);
      this.#forget(group, index);
    } else this.table.of(record.state.group).hardState = record.state;
    return undefined;
  }

  #seeHead(segment: number, groups: readonly GroupSummary[]): string | undefined {
    const newest = present(this.contents[this.contents.length - 1], 'a segment was entered');
    if (!this.#headDue || newest.number !== segment) return 'a head is not where it belongs';
    this.#headDue = false;
    if (this.contents.length === 1) for (const group of groups) this.table.restore(group);
    // Written as the sum of what was before it, it must be that when read.
    else if (!sameSummaries(groups, this.table.summaries())) {
      return 'a head contradicts the frames before it';
    }
    return undefined;
  }

  #seeEntry(entry: LogEntry): string | undefined {
    const state = this.table.of(entry.group);
    if (!state.admits(entry)) return `entry ${entry.index} of group ${entry.group} is out of order`;
    noteEntry(this.contents, entry, state.lastIndex);
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

function missing(group: GroupId, what: string): LogDamaged {
  return new LogDamaged(`of group ${group}, ${what}`, { file: logFolder, offset: 0 });
}

function sameSummaries(ones: readonly GroupSummary[], others: readonly GroupSummary[]): boolean {
  const numbers = ({
    hardState,
    mark,
    previousMark,
    lastIndex,
    lastTerm,
  }: GroupSummary): unknown => [
    [hardState.group, hardState.term, hardState.vote, hardState.commit],
    [mark.index, mark.term, previousMark.index, previousMark.term, lastIndex, lastTerm],
  ];
  return JSON.stringify(ones.map(numbers)) === JSON.stringify(others.map(numbers));
}
