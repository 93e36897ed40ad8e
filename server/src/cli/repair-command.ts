/** `tuplet repair`: what a data folder holds, and what is left of it when it is damaged. */
import { resolve } from 'node:path';
import { type Command, Option } from 'commander';
import { DiskError } from '../base/doors.ts';
import type { FolderRepair } from '../repair.ts';
import type { GroupSurvey, LogSurvey, Survey } from '../storage/survey.ts';
import { exitCodes } from './exit.ts';
import { type Format, table } from './output.ts';

interface RepairOptions {
  readonly data: string;
  readonly acceptLoss?: true;
  readonly output: Format;
}

const help = `
Without --accept-loss nothing is changed. With it, the log is kept up to where it is damaged, what is
behind that is lost, and all files that change are copied to repair-<n> in the data folder before.
Refused where other members of a group may count on what is lost.

Examples:
  $ tuplet repair
  $ tuplet repair --data /var/lib/tuplet -o json
  $ tuplet repair --data /var/lib/tuplet --accept-loss

Exit codes: 0 a server starts and serves all that is there, or what was kept; 1 it is damaged;
            2 wrong usage; 4 a server uses the folder`;

/** Adds the command. */
export function addRepair(program: Command): void {
  program
    .command('repair')
    .description('say what a data folder holds, and what of it can be kept when it is damaged')
    .option('-d, --data <folder>', 'where the data lies', './tuplet-data')
    .option('--accept-loss', 'keep what can be kept, and give up what is lost')
    .addOption(
      new Option('-o, --output <format>', 'how to print')
        .choices(['table', 'json'])
        .default('table'),
    )
    .addHelpText('after', help)
    .action((options: RepairOptions) => run(options));
}

async function run(options: RepairOptions): Promise<void> {
  const dataDir = resolve(options.data);
  // Only here, so that the other commands do not load the storage.
  const { repairFolder } = await import('../repair.ts');
  try {
    const done = await repairFolder(dataDir, { acceptLoss: options.acceptLoss === true });
    const text = options.output === 'json' ? json(dataDir, done) : show(dataDir, done);
    process.stdout.write(`${text}\n`);
    const isWell = done.survey.verdict === 'whole' || done.repaired !== undefined;
    process.exitCode = isWell ? exitCodes.ok : exitCodes.failed;
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    // The lock names folder and holder.
    const isUsed = error instanceof DiskError && error.kind === 'denied' && !error.cause;
    const text = isUsed ? `${message}; stop it first` : `data folder ${dataDir}: ${message}`;
    process.stderr.write(`tuplet: cannot repair: ${text}\n`);
    process.exitCode = isUsed ? exitCodes.unavailable : exitCodes.failed;
  }
}

function show(dataDir: string, { survey, shared, repaired }: FolderRepair): string {
  const { groups, wholeSnapshots, damagedSnapshots } = survey;
  const lines = [
    `data folder  ${dataDir}`,
    `log          ${logLine(survey.log)}`,
    `snapshots    ${wholeSnapshots.length} whole, ${damagedSnapshots.length} damaged`,
    ...damagedSnapshots.map(({ error }) => `             ${error.message}`),
  ];
  if (groups.length > 0) {
    const heads = ['GROUP', 'LAST', 'TERM', 'COMMIT', 'SNAPSHOT', 'LOST'];
    lines.push('', table(heads, groups.map(row)));
  }
  return [...lines, '', conclusion(survey, shared, repaired?.folder)].join('\n');
}

function logLine(log: LogSurvey): string {
  switch (log.state) {
    case 'whole':
      return 'whole';
    case 'torn':
      return `whole, with ${log.bytes} bytes of an unfinished write at its end (${log.place.file}, offset ${log.place.offset})`;
    case 'damaged': {
      const { file, offset, sequence } = log.place;
      const frame = sequence === undefined ? '' : `, frame ${sequence}`;
      return `damaged: ${log.what} (${file}, offset ${offset}${frame})`;
    }
  }
}

function row({ group, lastIndex, term, commit, snapshot, ...rest }: GroupSurvey): string[] {
  const isRemoved = rest.replica?.state === 'removed';
  const lost = rest.hopeless ?? lostOf(rest.lost);
  return [
    group === 0 ? '0 (map)' : String(group),
    ...[lastIndex, term, commit, snapshot].map(String),
    isRemoved ? 'none: its replica was removed' : lost,
  ];
}

function lostOf(lost: GroupSurvey['lost']): string {
  if (lost === undefined) return 'none';
  const { from, to } = lost;
  return to === undefined ? `from ${from} on, if anything` : `${from} to ${to}, if not more`;
}

function conclusion(
  { verdict, log, rewinds }: Survey,
  shared: readonly number[],
  folder: string | undefined,
): string {
  if (folder !== undefined)
    return `What is listed was kept, what was lost is gone; the files as they were are in ${folder}. A server can start.`;
  if (verdict === 'hopeless')
    return 'Nothing was changed. Too little can be kept for a server to start: restore the data folder from a backup.';
  if (verdict === 'loss' && shared.length > 0)
    return `Nothing was changed. Other members of the groups ${shared.join(', ')} may count on what is lost here, so it cannot be given up: a replica that lost its log comes back as a new one, never under its old id.`;
  if (verdict === 'loss') {
    const where = log.state === 'damaged' ? 'behind the damage' : 'behind a snapshot that is used';
    const groups = rewinds.size > 0 ? ` (${[...rewinds].join(', ')})` : '';
    return `Nothing was changed. What lies ${where}${log.state === 'damaged' ? '' : groups} cannot be served: restore the data folder from a backup, or keep what is listed with --accept-loss.`;
  }
  return 'Nothing was changed, and nothing is lost: a server can start.';
}

function json(dataDir: string, { survey, shared, repaired }: FolderRepair): string {
  const { log, wholeSnapshots, damagedSnapshots, groups, verdict } = survey;
  return JSON.stringify({
    dataDir,
    verdict,
    log,
    snapshots: {
      whole: wholeSnapshots,
      damaged: damagedSnapshots.map(({ error }) => error.place),
    },
    groups: groups.map(({ replica, lost, hopeless, membership: _, ...group }) => ({
      ...group,
      replica: replica === undefined ? null : { id: replica.replica, state: replica.state },
      lost: lost === undefined ? null : { from: lost.from, to: lost.to ?? null },
      hopeless: hopeless ?? null,
    })),
    shared,
    repaired: repaired ?? null,
  });
}
