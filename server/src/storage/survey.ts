/** What a data folder holds, and what of it can be kept; reads only. Used by `tuplet repair`. */
import type { Disk } from '../base/doors.ts';
import type { GroupId, LogIndex, Term } from '../base/ids.ts';
import { type DamagePlace, LogDamaged, SnapshotDamaged } from './damage.ts';
import type { Checksum, LogEntry, ReplicaRecord, SnapshotBase } from './entry.ts';
import { type DamagedSnapshot, findSnapshots, withSnapshot } from './find-snapshots.ts';
import { hasIdentity, readIdentity } from './identity.ts';
import type { LogRecord } from './record.ts';
import { inspect, type LogPrefix, type RecoveryOptions, readPrefix } from './recovery.ts';
import type { Replay } from './replay.ts';
import { logFolder, segmentNumber } from './segments.ts';
import type { SnapshotSummary } from './snapshot-file.ts';
import { hasSnapshots, snapshotName } from './snapshots.ts';

/** What a group's files say of who takes part in it. Storage does not know how to read it. */
export interface MembershipSurvey {
  /** What its snapshot says; undefined where it begins with none. */
  readonly context: Uint8Array | undefined;
  /** The payloads of the changes that are kept after that and known to be committed, in order. */
  readonly changes: readonly Uint8Array[];
  /** Those of further ones that can be read, kept or not. */
  readonly uncertain: readonly Uint8Array[];
}

/** One group as it is kept. */
export interface GroupSurvey {
  readonly group: GroupId;
  readonly replica: ReplicaRecord | undefined;
  readonly lastIndex: LogIndex;
  readonly term: Term | 0;
  readonly commit: LogIndex;
  /** The index of the snapshot that it begins with; 0 for none. */
  readonly snapshot: LogIndex;
  /**
   * What was there and is given up: up to `to` at least, where anything that says so can still be read;
   * else perhaps nothing.
   */
  readonly lost: { readonly from: LogIndex; readonly to: LogIndex | undefined } | undefined;
  /** Why nothing of it can be kept, where that is so. */
  readonly hopeless: string | undefined;
  readonly membership: MembershipSurvey;
}

/** What stands at the end of the log, or in its middle. */
export type LogSurvey =
  | { readonly state: 'whole' }
  /** An unfinished write, never acknowledged: a start trims it. */
  | { readonly state: 'torn'; readonly place: DamagePlace; readonly bytes: number }
  | { readonly state: 'damaged'; readonly place: DamagePlace; readonly what: string };

/** What `survey` resolves to. */
export interface Survey {
  readonly log: LogSurvey;
  /** In order of name. */
  readonly wholeSnapshots: readonly string[];
  readonly damagedSnapshots: readonly DamagedSnapshot[];
  /** In order of group. */
  readonly groups: readonly GroupSurvey[];
  /**
   * `whole`: a start loses nothing. `loss`: it is refused, and goes on after something was given up.
   * `hopeless`: the folder is of no use without a backup.
   */
  readonly verdict: 'whole' | 'loss' | 'hopeless';
  /** Groups that go back to a snapshot behind which entries are missing. */
  readonly rewinds: ReadonlySet<GroupId>;
  /** How far the log is kept, where it is damaged. */
  readonly prefix: LogPrefix | undefined;
}

/** The data folder holds nothing of Tuplet's. */
export class NothingToSurvey extends Error {
  override readonly name = 'NothingToSurvey';
}

/** Rejects with NothingToSurvey, FormatError, DiskError. */
export async function survey(disk: Disk, checksum: Checksum): Promise<Survey> {
  const segments = (await disk.list(logFolder)).filter((name) => segmentNumber(name) !== undefined);
  const isBegun = await hasIdentity(disk);
  if (!isBegun && segments.length === 0 && !(await hasSnapshots(disk)))
    throw new NothingToSurvey('it holds no log and no snapshots');
  const snapshots = await surveySnapshots(disk, checksum);
  try {
    const salt = await readIdentity(disk, checksum);
    if (salt === undefined) {
      const place = { file: logFolder, offset: 0 };
      throw new LogDamaged('there are segments or snapshots, its identity is gone', place);
    }
    const { bases } = snapshots;
    const options = { disk, checksum, salt, segmentBytes: 0, bases, rewinds: undefined };
    return await surveyLog(options, snapshots);
  } catch (error) {
    if (!(error instanceof LogDamaged)) throw error;
    const { place, what } = error;
    return { ...nothingKept(snapshots), log: { state: 'damaged', place, what } };
  }
}

interface SnapshotsSurvey {
  readonly bases: ReadonlyMap<GroupId, SnapshotBase & { readonly context: Uint8Array }>;
  readonly whole: readonly string[];
  readonly damaged: readonly DamagedSnapshot[];
}

/** Unlike a start, it reads older snapshots through as well. */
async function surveySnapshots(disk: Disk, checksum: Checksum): Promise<SnapshotsSurvey> {
  const found = await findSnapshots(disk, checksum, () => () => undefined);
  const damaged = [...found.damaged];
  const whole: string[] = [];
  const bases = new Map<GroupId, SnapshotBase & { readonly context: Uint8Array }>();
  const isWhole = async ({ mark }: SnapshotSummary): Promise<boolean> => {
    try {
      await withSnapshot(disk, checksum, mark, (reader) => reader.read(mark, () => undefined));
      return true;
    } catch (error) {
      if (!(error instanceof SnapshotDamaged)) throw error;
      damaged.push({ mark, error });
      return false;
    }
  };
  for (const [group, [newest, ...older]] of found.usable) {
    if (newest === undefined) continue;
    const { mark, replica, context } = newest;
    bases.set(group, { ...mark, replica, context });
    whole.push(snapshotName(newest.mark));
    for (const each of older) if (await isWhole(each)) whole.push(snapshotName(each.mark));
  }
  return { bases, whole: whole.sort(), damaged };
}

function nothingKept({ whole, damaged }: SnapshotsSurvey): Omit<Survey, 'log'> {
  return {
    wholeSnapshots: whole,
    damagedSnapshots: damaged,
    groups: [],
    verdict: 'hopeless',
    rewinds: new Set(),
    prefix: undefined,
  };
}

async function surveyLog(options: RecoveryOptions, snapshots: SnapshotsSurvey): Promise<Survey> {
  const found = await surveyFrames(options);
  const until = found.state === 'damaged' ? (found.place.sequence ?? 0) - 1 : Number.MAX_VALUE;
  if (until <= 0) return { ...nothingKept(snapshots), log: found };
  const seen = new Behind();
  const prefix = await readPrefix(options, until, (record) => seen.see(record));
  const { replay } = prefix;
  if (replay.contents.count === 0 && snapshots.bases.size > 0) {
    const what = 'there are snapshots, and nothing is in it';
    const place = { file: logFolder, offset: 0 };
    return { ...nothingKept(snapshots), log: { state: 'damaged', place, what } };
  }
  const isDamaged = found.state === 'damaged';
  const rewinds = new Set<GroupId>();
  const groups = [...new Set([...replay.groups(), ...(isDamaged ? seen.groups() : [])])]
    .sort((one, other) => one - other)
    .map((group) => {
      const state = replay.table.of(group);
      const highest = Math.max(state.lastIndex, isDamaged ? seen.highest(group) : 0);
      const kept = surveyGroup(replay, group, options.bases?.get(group));
      if (kept.rewinds) rewinds.add(group);
      const lossy = withLoss(kept.survey, highest, isDamaged || kept.rewinds);
      const context = snapshots.bases.get(group)?.context;
      return { ...lossy, membership: surveyMembership(lossy, replay, seen, context) };
    });
  const hopeless = groups.some((each) => each.hopeless !== undefined);
  const loss = isDamaged || rewinds.size > 0;
  return {
    log: found,
    wholeSnapshots: snapshots.whole,
    damagedSnapshots: snapshots.damaged,
    groups,
    verdict: hopeless ? 'hopeless' : loss ? 'loss' : 'whole',
    rewinds,
    prefix: isDamaged ? prefix : undefined,
  };
}

async function surveyFrames(options: RecoveryOptions): Promise<LogSurvey> {
  try {
    const [torn] = await inspect(options);
    if (torn === undefined) return { state: 'whole' };
    const { file, from, to } = torn;
    return { state: 'torn', place: { file, offset: from }, bytes: to - from };
  } catch (error) {
    if (!(error instanceof LogDamaged)) throw error;
    return { state: 'damaged', place: error.place, what: error.what };
  }
}

type KeptSurvey = Omit<GroupSurvey, 'membership'>;

function surveyMembership(
  { group, snapshot, commit }: KeptSurvey,
  replay: Replay,
  behind: Behind,
  context: Uint8Array | undefined,
): MembershipSurvey {
  const changes: Uint8Array[] = [];
  const uncertain: Uint8Array[] = [];
  for (const { kind, index, payload } of replay.entriesOf(group))
    if (kind === 1) (index <= commit ? changes : uncertain).push(payload);
  for (const { index, payload } of behind.changesOf(group))
    if (index > snapshot) uncertain.push(payload);
  return { context: snapshot > 0 ? context : undefined, changes, uncertain };
}

/** A group as the log has it; back at its snapshot, where entries after that are missing. */
function surveyGroup(
  replay: Replay,
  group: GroupId,
  base: SnapshotBase | undefined,
): { readonly survey: KeptSurvey; readonly rewinds: boolean } {
  const found = replay.recover(group);
  const { hardState, replica } = replay.table.of(group);
  const nothing = { replica, lost: undefined, hopeless: undefined };
  if (typeof found !== 'string') {
    const { lastIndex, base: snapshot } = found;
    const { term, commit } = found.hardState;
    return { survey: { ...nothing, group, lastIndex, term, commit, snapshot }, rewinds: false };
  }
  const { term } = hardState;
  const index = base?.index ?? (0 as LogIndex);
  const isOfAnother = (base?.replica ?? 0) !== (replica?.replica ?? 0);
  const hopeless = index === 0 || isOfAnother ? found : undefined;
  const at = hopeless === undefined ? index : (0 as LogIndex);
  return {
    survey: { ...nothing, group, lastIndex: at, term, commit: at, snapshot: at, hopeless },
    rewinds: hopeless === undefined,
  };
}

function withLoss(kept: KeptSurvey, highest: number, mayLose: boolean): KeptSurvey {
  if (!mayLose || kept.replica?.state === 'removed') return kept;
  const from = (kept.lastIndex + 1) as LogIndex;
  const to = highest >= from ? (highest as LogIndex) : undefined;
  return { ...kept, lost: { from, to } };
}

/** What frames behind the damage say of how far each group had come, and of its members. */
class Behind {
  readonly #highest = new Map<GroupId, number>();
  readonly #changes = new Map<GroupId, LogEntry[]>();

  see(record: LogRecord): void {
    if (record.kind === 'entry') this.#seeEntry(record.entry);
    else if (record.kind === 'mark') this.#note(record.mark.group, record.mark.index);
    else if (record.kind === 'head')
      for (const { mark, lastIndex } of record.groups) this.#note(mark.group, lastIndex);
  }

  groups(): readonly GroupId[] {
    return [...this.#highest.keys()];
  }

  highest(group: GroupId): number {
    return this.#highest.get(group) ?? 0;
  }

  changesOf(group: GroupId): readonly LogEntry[] {
    return this.#changes.get(group) ?? [];
  }

  #seeEntry(entry: LogEntry): void {
    const { group, index, kind } = entry;
    this.#note(group, index);
    if (kind !== 1) return;
    // A copy: the memory that was read into is used again.
    const kept = { ...entry, payload: entry.payload.slice() };
    this.#changes.set(group, [...this.changesOf(group), kept]);
  }

  #note(group: GroupId, index: number): void {
    this.#highest.set(group, Math.max(this.highest(group), index));
  }
}
