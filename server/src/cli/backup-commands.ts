/** `tuplet backup` and `tuplet checksum`. */
import { resolve } from 'node:path';
import type { Command } from 'commander';
import type { Contents } from '../backup/contents.ts';
import { exitCodes } from './exit.ts';
import { table } from './output.ts';
import { type ClientOptions, clientOptions, run, type Session } from './session.ts';

interface ChecksumOptions extends ClientOptions {
  readonly backup?: string;
}

/** Adds the commands. */
export function addBackupCommands(program: Command): void {
  addBackup(program);
  addChecksum(program);
}

function addBackup(program: Command): void {
  clientOptions(program.command('backup <folder>'), { withSpace: false })
    .description('write all that a cluster holds into an empty folder, while it goes on')
    .addHelpText(
      'after',
      `
Each partition is consistent in itself, and has all that was answered before. The folder is a backup once it
has a manifest.json, which comes last. \`tuplet serve --restore\` founds a new cluster from it.

Examples:
  $ tuplet backup /backups/monday
  $ tuplet backup /backups/monday -s tuplet://a,b,c`,
    )
    .action((folder: string, options: ClientOptions) =>
      run(options, async (session) => {
        // Only here, so that the other commands do not load it.
        const { writeBackup } = await import('../backup/write-backup.ts');
        const manifest = await writeBackup(session.client, {
          folder: resolve(folder),
          signal: session.signal,
          onGroup: ({ group, tuples, bytes }, partitions) => {
            const what = group === 0 ? 'the map' : `partition ${group} of ${partitions}`;
            tell(session, `${what}: ${tuples} tuples, ${bytes} bytes`);
          },
        });
        if (session.format === 'json') session.print(JSON.stringify(manifest));
        else session.print(showContents(manifest));
        return exitCodes.ok;
      }),
    );
}

function addChecksum(program: Command): void {
  clientOptions(program.command('checksum'), { withSpace: false })
    .description('count and sum up what the spaces hold: equal contents have equal checksums')
    .option('--backup <folder>', 'of a backup instead of a cluster; all of it is looked through')
    .addHelpText(
      'after',
      `
It is over the names of spaces, the tuples and the ends of their leases, handed over or not, and says nothing
while they change.

Examples:
  $ tuplet checksum
  $ tuplet checksum --backup /backups/monday`,
    )
    .action((options: ChecksumOptions) => {
      if (options.backup === undefined) return run(options, checksumOfCluster);
      return checksumOfBackup(options.backup, options);
    });
}

async function checksumOfCluster(session: Session): Promise<number> {
  const { readCluster } = await import('../backup/read-cluster.ts');
  const { contentsOf } = await import('../backup/contents.ts');
  const { map, sum } = await readCluster(session.client, { signal: session.signal });
  session.print(shown(contentsOf(map.spaces, sum), session.format));
  return exitCodes.ok;
}

async function checksumOfBackup(folder: string, { output }: ClientOptions): Promise<void> {
  const { openBackup } = await import('../backup/open-backup.ts');
  try {
    const { manifest } = await openBackup(resolve(folder));
    const { spaces, tuples, checksum } = manifest;
    process.stdout.write(`${shown({ spaces, tuples, checksum }, output)}\n`);
  } catch (error) {
    process.stderr.write(`tuplet: ${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = exitCodes.failed;
  }
}

function shown(contents: Contents, format: Session['format']): string {
  return format === 'json' ? JSON.stringify(contents) : showContents(contents);
}

function showContents({ spaces, tuples, checksum }: Contents): string {
  const rows = spaces.map((space) => [space.name, String(space.tuples), space.checksum]);
  return table(['SPACE', 'TUPLES', 'CHECKSUM'], [...rows, ['(all)', String(tuples), checksum]]);
}

/** Progress, for people. */
function tell({ format }: Session, text: string): void {
  if (format === 'table') process.stderr.write(`${text}\n`);
}
