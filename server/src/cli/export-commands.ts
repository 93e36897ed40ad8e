/** `tuplet export` and `tuplet import`. */
import { resolve } from 'node:path';
import type { Command } from 'commander';
import type { Imported } from '../backup/import-file.ts';
import { parseCount } from './duration.ts';
import { exitCodes } from './exit.ts';
import { type ClientOptions, clientOptions, run, type Session } from './session.ts';

interface ExportCommandOptions extends ClientOptions {
  readonly only?: string;
}

interface ImportCommandOptions extends ClientOptions {
  readonly into?: string;
  readonly after: number;
}

/** Milliseconds between two lines of progress. */
const progressMs = 1_000;

/** Adds the commands. */
export function addExportCommands(program: Command): void {
  addExport(program);
  addImport(program);
}

function addExport(program: Command): void {
  clientOptions(program.command('export <file>'), { withSpace: false })
    .description('write all tuples into a new file, one JSON object a line')
    .option('--only <space>', 'the tuples of this space alone')
    .addHelpText(
      'after',
      `
Spaces with their rules come first. Kinds that JSON lacks are objects: {"$int": …}, {"$float": …}, {"$bytes": …},
{"$timestamp": …}. Ids, ages and revisions are not kept; \`tuplet backup\` keeps them.

Examples:
  $ tuplet export all.ndjson
  $ tuplet export jobs.ndjson --only jobs`,
    )
    .action((file: string, options: ExportCommandOptions) =>
      run(options, async (session) => {
        // Only here, so that the other commands do not load it.
        const { exportCluster } = await import('../backup/export-file.ts');
        let read = 0;
        const tuples = await exportCluster(session.client, {
          file: resolve(file),
          space: options.only,
          signal: session.signal,
          onGroup: ({ group, tuples: more }, partitions) => {
            read += more;
            tell(session, `partition ${group} of ${partitions}: ${read} tuples read`);
          },
        });
        const json = JSON.stringify({ file: resolve(file), tuples });
        session.print(session.format === 'json' ? json : `${tuples} tuples in ${file}`);
        return exitCodes.ok;
      }),
    );
}

function addImport(program: Command): void {
  clientOptions(program.command('import <file>'), { withSpace: false })
    .description('write the tuples of an exported file')
    .option('--into <space>', 'all of them into this space, which is there')
    .option('--after <line>', 'go on after this line', parseCount(0), 0)
    .addHelpText(
      'after',
      `
Spaces that are not there are created. Tuples whose lease is over are passed over. It stops where lines fail:
these are in a file beside, to be imported when the reason is gone, and it says after which line to go on.

Examples:
  $ tuplet import all.ndjson
  $ tuplet import jobs.ndjson --into copy
  $ tuplet import all.ndjson --after 12000`,
    )
    .action((file: string, options: ImportCommandOptions) =>
      run(options, async (session) => {
        const { importFile } = await import('../backup/import-file.ts');
        let toldMs = performance.now();
        const done = await importFile(session.client, {
          file: resolve(file),
          space: options.into,
          after: options.after,
          signal: session.signal,
          onProgress: ({ line, tuples }) => {
            if (performance.now() - toldMs < progressMs) return;
            toldMs = performance.now();
            tell(session, `line ${line}: ${tuples} tuples`);
          },
        });
        if (session.format === 'json') session.print(JSON.stringify(done));
        else for (const text of conclusion(file, done)) session.print(text);
        return done.failure === undefined ? exitCodes.ok : exitCodes.failed;
      }),
    );
}

function conclusion(file: string, { line, tuples, ended, failure }: Imported): string[] {
  const over = ended === 0 ? '' : `, and ${ended} whose lease is over passed over`;
  const done = `${tuples} tuples imported${over}`;
  if (failure === undefined) return [done];
  const { lines, uncertain, firstLine, message } = failure;
  const perhaps =
    uncertain === 0 ? '' : `; ${uncertain} of them may have been imported all the same`;
  return [
    `${done}, up to line ${line}; ${lines} lines failed, the first is line ${firstLine}: ${message}`,
    `these are in ${failure.file}${perhaps}`,
    `go on with: tuplet import ${file} --after ${line}`,
  ];
}

/** Progress, for people. */
function tell({ format }: Session, text: string): void {
  if (format === 'table') process.stderr.write(`${text}\n`);
}
