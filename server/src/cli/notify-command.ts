/** `tuplet notify`: follows what happens to tuples. */
import type { EventKind, TupleEvent, Writable } from '@tuplet/client';
import { type Command, InvalidArgumentError } from 'commander';
import { exitCodes } from './exit.ts';
import { formatTuple } from './language/format.ts';
import { parseTemplate } from './language/language.ts';
import { type Format, instant, toJson, tupleJson } from './output.ts';
import { type ClientOptions, clientOptions, run } from './session.ts';

const kinds: readonly EventKind[] = [
  'written',
  'taken',
  'returned',
  'replaced',
  'expired',
  'cancelled',
];

interface NotifyOptions extends ClientOptions {
  readonly kinds?: readonly EventKind[];
}

/** Adds the command. */
export function addNotifyCommand(program: Command): void {
  const command = program
    .command('notify [template]')
    .description(
      'print what happens to matching tuples, or to all, from now on, until interrupted',
    );
  clientOptions(command, { withSpace: true })
    .option('-k, --kinds <list>', `which events: ${kinds.join(',')}; default: all`, parseKinds)
    .addHelpText(
      'after',
      `
Examples:
  $ tuplet notify 'job,...'
  $ tuplet notify -k taken,returned -o json`,
    )
    .action((text: string | undefined, options: NotifyOptions) =>
      run(options, async ({ space, format, signal, print }) => {
        const template = text === undefined ? undefined : parseTemplate(text);
        const wanted = { signal, ...(options.kinds === undefined ? {} : { kinds: options.kinds }) };
        const events =
          template === undefined ? space.notify(undefined, wanted) : space.notify(template, wanted);
        try {
          for await (const event of events) print(show(event, format));
        } catch (error) {
          if (!signal.aborted) throw error;
        }
        return exitCodes.ok;
      }),
    );
}

function parseKinds(text: string): readonly EventKind[] {
  return text.split(',').map((word) => {
    const kind = kinds.find((known) => known === word.trim());
    if (kind === undefined) throw new InvalidArgumentError(`There are ${kinds.join(', ')}.`);
    return kind;
  });
}

function show(event: TupleEvent<unknown>, format: Format): string {
  const { kind, place, old } = event;
  const tuple = event.tuple as readonly Writable[];
  const at = instant(event.at);
  if (format === 'json') {
    const before = old === undefined ? {} : { old: toJson(old) };
    return JSON.stringify({ kind, at, ...place, ...tupleJson(tuple), ...before });
  }
  const before = old === undefined ? '' : `  (was ${formatTuple(old as readonly Writable[])})`;
  return `${at ?? ''}  ${kind.padEnd(9)}  ${formatTuple(tuple)}${before}`;
}
