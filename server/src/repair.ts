/** The composition root of `tuplet repair`: a data folder, locked, without a node. */
import { statSync } from 'node:fs';
import type { GroupId } from './base/ids.ts';
import { logSegmentBytes, snapshotReserveBytesMin } from './base/limits.ts';
import { hostChecksum } from './host/checksum.ts';
import { hostClock } from './host/clock.ts';
import { HostDisk } from './host/disk.ts';
import { hostRandom } from './host/random.ts';
import { applyChange, StepKind } from './raft/change.ts';
import { decodeChange } from './raft/change-codec.ts';
import { emptyConfiguration, membersOf } from './raft/configuration.ts';
import { decodeConfiguration } from './raft/configuration-codec.ts';
import { type Repaired, repair } from './storage/repair.ts';
import {
  type GroupSurvey,
  type MembershipSurvey,
  NothingToSurvey,
  type Survey,
  survey,
} from './storage/survey.ts';

/** What `repairFolder` resolves to. */
export interface FolderRepair {
  readonly survey: Survey;
  /** Groups with a loss whose other members may count on what is lost: it cannot be accepted. */
  readonly shared: readonly GroupId[];
  /** Undefined where nothing was changed. */
  readonly repaired: Repaired | undefined;
}

/** A loss is not this node's to accept. Nothing was changed. */
export class LossShared extends Error {
  override readonly name = 'LossShared';

  constructor(groups: readonly GroupId[]) {
    super(
      `nothing was given up: other members of the groups ${groups.join(', ')} may count on what is lost here; a replica that lost its log comes back as a new one, never under its old id`,
    );
  }
}

/**
 * Looks what a data folder holds; with `acceptLoss`, gives up what is lost, so that a node can start.
 * Rejects with LossShared, what `survey` and `repair` do, and where another process has the folder.
 */
export async function repairFolder(
  folder: string,
  { acceptLoss }: { readonly acceptLoss: boolean },
): Promise<FolderRepair> {
  if (!statSync(folder, { throwIfNoEntry: false })?.isDirectory())
    throw new NothingToSurvey('there is no such folder');
  const disk = await HostDisk.open(folder);
  const release = await disk.lock();
  try {
    const found = await survey(disk, hostChecksum);
    const shared = found.groups.filter(isLossShared).map(({ group }) => group);
    if (!acceptLoss || found.verdict !== 'loss')
      return { survey: found, shared, repaired: undefined };
    if (shared.length > 0) throw new LossShared(shared);
    let fatal: Error | undefined;
    const options = {
      checksum: hostChecksum,
      random: hostRandom,
      segmentBytes: logSegmentBytes,
      reserveBytesMin: snapshotReserveBytesMin,
      onFatal: (error: Error) => {
        fatal = error;
      },
    };
    const repaired = await repair(disk, hostClock, options, found);
    if (fatal !== undefined) throw fatal;
    return { survey: found, shared, repaired };
  } finally {
    release();
  }
}

/**
 * Whether somebody else may count on what a group's replica has forgotten: it must not vote, or say what it
 * has, under the id under which it acknowledged that (Ongaro 2014 §3.8).
 */
function isLossShared({ lost, replica, membership }: GroupSurvey): boolean {
  if (lost === undefined) return false;
  const named = namedIn(membership);
  // No replica speaks where none is kept.
  if (replica === undefined) return named.size > 1;
  // One that nothing names has joined a group that others have founded.
  return named.size !== 1 || !named.has(replica.replica);
}

/** The members as far as they can be read; whoever may have become one counts. */
function namedIn({ context, changes, uncertain }: MembershipSurvey): ReadonlySet<number> {
  let configuration = context === undefined ? emptyConfiguration : decodeConfiguration(context);
  for (const payload of changes) {
    const outcome = applyChange(configuration, decodeChange(payload));
    if (outcome.kind === 'changed') configuration = outcome.configuration;
  }
  const named = new Set(membersOf(configuration));
  for (const { kind, replica } of uncertain.flatMap((payload) => decodeChange(payload).steps))
    if (kind === StepKind.voter || kind === StepKind.learner) named.add(replica);
  return named;
}
