/**
 * `npm run torture -- --rounds N`: real servers, killed again and again under real clients, and what the
 * clients saw, judged. See DESIGN.md.
 */
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command, InvalidArgumentError } from 'commander';
import { failuresOf, failureText, roundLine, Totals } from './report.ts';
import { runRound } from './round.ts';

const examples = `
A round starts a server with fresh data, client processes that call all operations, a process that
observes every event, and watchers whose notifications are resumed. Meanwhile the server is killed
with SIGKILL and started again on the same data and port, clients are killed, or stopped for longer
than their session's lease. Then faults stop, everything comes to rest, and what is left is read.
The round fails where an acknowledged write is lost, a tuple was handed to two, an answer says
"nothing" though something was there, a notification has a gap or a repeat; or where the round did
less than 2,000 successful operations in 10 s, 20% of them blocking and 20% unpinned.

Examples:
  $ npm run torture -- --rounds 10
  $ npm run torture -- --rounds 1 --seconds 20 --history history.jsonl
  $ npm run torture -- --rounds 1 --seed 7 --keep
  $ npm run torture -- --rounds 5 --nodes 3     # nodes are stopped, split, lost and drained, too`;

interface Options {
  readonly rounds: number;
  readonly seconds: number;
  readonly clients: number;
  readonly nodes: number;
  readonly seed: number;
  readonly history?: string;
  readonly keep?: boolean;
}

function atLeast(least: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (Number.isInteger(value) && value >= least) return value;
    throw new InvalidArgumentError(`a whole number of at least ${least}`);
  };
}

async function torture(options: Options): Promise<void> {
  const base = mkdtempSync(join(tmpdir(), 'tuplet-torture-'));
  const { rounds, seconds, clients, nodes, seed } = options;
  const totals = new Totals();
  for (let number = 1; number <= rounds; number++) {
    const begunMs = performance.now();
    const folder = join(base, `round-${number}`);
    const report = await runRound({ number, seed, seconds, clients, nodes, folder });
    totals.add(report);
    process.stdout.write(`${roundLine(report, rounds, performance.now() - begunMs)}\n`);
    if (options.history !== undefined) copyFileSync(report.historyPath, options.history);
    if (failuresOf(report).length > 0) process.stdout.write(failureText(report));
    else if (options.keep !== true) rmSync(folder, { recursive: true, force: true });
  }
  process.stdout.write(totals.text());
  if (totals.failed === 0 && options.keep !== true) {
    rmSync(base, { recursive: true, force: true });
  } else process.stdout.write(`kept: ${base}\n`);
  process.exitCode = totals.failed === 0 ? 0 : 1;
}

await new Command('torture')
  .description('kill real servers under real clients, and judge what the clients saw')
  .option('--rounds <count>', 'how many rounds', atLeast(1), 1)
  .option('--seconds <seconds>', 'how long faults and work last in a round', atLeast(1), 12)
  .option('--clients <count>', 'client processes', atLeast(2), 16)
  .option(
    '--nodes <count>',
    'servers; several found a cluster, and are killed one at a time',
    atLeast(1),
    1,
  )
  .option('--seed <seed>', 'chooses faults and operations, not their timing', atLeast(0), 1)
  .option('--history <file>', 'keep the history of the last round (server/sim/check/HISTORY.md)')
  .option('--keep', 'keep data and histories of rounds that passed, too')
  .addHelpText('after', examples)
  .action(torture)
  .parseAsync();
