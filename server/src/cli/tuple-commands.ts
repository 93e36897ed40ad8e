/** `tuplet write | read | take | count`: one operation each. */
import type { Command } from 'commander';
import { parseCount, parseDuration } from './duration.ts';
import { exitCodes } from './exit.ts';
import { parseTemplate, parseTuple } from './language/language.ts';
import { instant, showTuples } from './output.ts';
import { type ClientOptions, clientOptions, run } from './session.ts';

interface WriteOptions extends ClientOptions {
  readonly lease?: number;
}

interface FindOptions extends ClientOptions {
  readonly wait?: number | true;
  readonly max?: number;
}

const languageHelp = `
Tuples:     job,42,"two words",2.5,true,null,0x00ff,@2026-01-31T12:00:00Z,[1,[2]],{k: v}
Templates:  * any   ?int a kind   >=2 <5 1..9 ranges   ^pre prefix   a|b one of   !x not
            ... more fields may follow   [..] {k: ..} inside lists and records   ; or else
Exit codes: 0 done, 1 refused, 2 wrong usage, 3 nothing matched, 4 no answer`;

/** Adds the commands. */
export function addTupleCommands(program: Command): void {
  addWrite(program);
  addFind(program, 'read', 'print a matching tuple and leave it');
  addFind(program, 'take', 'remove a matching tuple and print it');
  addCount(program);
}

function addWrite(program: Command): void {
  const command = program.command('write <tuple...>').description('add tuples, durably');
  clientOptions(command, { withSpace: true })
    .option(
      '--lease <duration>',
      'how long they live, such as 30s; default: for ever',
      parseDuration,
    )
    .addHelpText(
      'after',
      `
Examples:
  $ tuplet write 'job,42,"two words",2.5,true,null'
  $ tuplet write --lease 5m 'lock,printer' 'lock,scanner'
${languageHelp}`,
    )
    .action((texts: string[], options: WriteOptions) =>
      run(options, async ({ space, format, print }) => {
        const tuples = texts.map(parseTuple);
        const lease = options.lease === undefined ? {} : { leaseMs: options.lease };
        for (const tuple of tuples) {
          const { id, partition, revision, leaseEnd } = await space.write(tuple, lease);
          const json = { id, partition, revision, leaseEnd: instant(leaseEnd) };
          print(format === 'json' ? JSON.stringify(json) : `written ${id}`);
        }
        return exitCodes.ok;
      }),
    );
}

function addFind(program: Command, name: 'read' | 'take', description: string): void {
  const command = program.command(`${name} <template>`).description(description);
  clientOptions(command, { withSpace: true })
    .option('-w, --wait [duration]', 'wait for a match; without a duration for ever', parseDuration)
    .option('-n, --max <count>', 'up to so many tuples, 1 to 1,000', parseCount(1))
    .addHelpText(
      'after',
      `
Examples:
  $ tuplet ${name} 'job,?int,*,>=2,^pre,a|b'
  $ tuplet ${name} --wait 5s 'job,...'
${languageHelp}`,
    )
    .action((text: string, options: FindOptions) =>
      run(options, async ({ space, format, signal, print }) => {
        const template = parseTemplate(text);
        const wait = options.wait === true ? {} : { waitMs: options.wait ?? 0 };
        const calls = { ...wait, signal };
        let found: readonly (readonly unknown[])[];
        if (options.max === undefined) {
          const one =
            name === 'read' ? await space.read(template, calls) : await space.take(template, calls);
          found = one === undefined ? [] : [one as readonly unknown[]];
        } else {
          const many = { ...calls, max: options.max };
          found = (
            name === 'read'
              ? await space.readMany(template, many)
              : await space.takeMany(template, many)
          ) as readonly (readonly unknown[])[];
        }
        print(showTuples(found, format));
        return found.length === 0 ? exitCodes.nothing : exitCodes.ok;
      }),
    );
}

function addCount(program: Command): void {
  const command = program.command('count [template]').description('count matching tuples, or all');
  clientOptions(command, { withSpace: true })
    .option('--handed', 'count tuples that were handed over and are not acknowledged')
    .addHelpText(
      'after',
      `
Examples:
  $ tuplet count
  $ tuplet count 'job,...'
${languageHelp}`,
    )
    .action((text: string | undefined, options: ClientOptions & { readonly handed?: true }) =>
      run(options, async ({ space, format, print }) => {
        const template = text === undefined ? undefined : parseTemplate(text);
        const states = options.handed === true ? { states: ['handed'] as const } : {};
        const count = await space.count(template, states);
        print(format === 'json' ? JSON.stringify({ count }) : String(count));
        return exitCodes.ok;
      }),
    );
}
