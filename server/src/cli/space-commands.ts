/** `tuplet space create | list | describe | drop`. */
import type { RoutingRule, SpaceDescription } from '@tuplet/client';
import { type Command, InvalidArgumentError } from 'commander';
import { parseCount } from './duration.ts';
import { exitCodes } from './exit.ts';
import { formatValue } from './language/format.ts';
import { LanguageError, parseTuple } from './language/language.ts';
import { instant, table, toJson } from './output.ts';
import { type ClientOptions, clientOptions, run } from './session.ts';

interface CreateOptions extends ClientOptions {
  readonly like?: string;
  readonly rule?: readonly RoutingRule[];
  readonly tupleBytesMax?: number;
}

/** Adds the commands. */
export function addSpaceCommands(program: Command): void {
  const space = program.command('space').description('create, list, describe and drop spaces');
  addCreate(space);
  clientOptions(space.command('list'), { withSpace: false })
    .description('list the spaces')
    .addHelpText('after', examples('space list', 'space list -o json'))
    .action((options: ClientOptions) =>
      run(options, async ({ client, format, print }) => {
        const spaces = await client.admin.listSpaces();
        if (format === 'json') print(spaces.map((one) => JSON.stringify(json(one))).join('\n'));
        else print(table(['NAME', 'ID', 'ROUTING', 'RULES', 'CREATED'], spaces.map(row)));
        return exitCodes.ok;
      }),
    );
  clientOptions(space.command('describe <name>'), { withSpace: false })
    .description('show a space and its routing rules')
    .addHelpText('after', examples('space describe jobs', 'space describe jobs -o json'))
    .action((name: string, options: ClientOptions) =>
      run(options, async ({ client, format, print }) => {
        const one = await client.admin.describeSpace(name);
        print(format === 'json' ? JSON.stringify(json(one)) : describe(one));
        return exitCodes.ok;
      }),
    );
  clientOptions(space.command('drop <name>'), { withSpace: false })
    .description('drop a space with all its tuples; there is no way back')
    .addHelpText('after', examples('space drop jobs'))
    .action((name: string, options: ClientOptions) =>
      run(options, async ({ client, format, print }) => {
        await client.admin.dropSpace(name);
        print(format === 'json' ? JSON.stringify({ dropped: name }) : `dropped ${name}`);
        return exitCodes.ok;
      }),
    );
}

function addCreate(space: Command): void {
  clientOptions(space.command('create <name>'), { withSpace: false })
    .description('create a space; its routing is fixed from then on')
    .option('--like <space>', 'share the routing of another space')
    .option(
      '--rule <tag/n/fields>',
      'spread a tag over n slots by named fields; may be repeated',
      (text: string, rules: readonly RoutingRule[] = []) => [...rules, parseRule(text)],
    )
    .option('--tuple-bytes-max <bytes>', 'the largest tuple; default 1 MiB', parseCount(1))
    .addHelpText(
      'after',
      `
Examples:
  $ tuplet space create orders
  $ tuplet space create jobs --rule job/64/1     # ['job', customer, …] spread by customer
  $ tuplet space create done --like jobs`,
    )
    .action((name: string, options: CreateOptions) =>
      run(options, async ({ client, format, print }) => {
        const { like, rule: rules, tupleBytesMax } = options;
        const created = await client.admin.createSpace(name, {
          ...(like === undefined ? {} : { like }),
          ...(rules === undefined ? {} : { rules }),
          ...(tupleBytesMax === undefined ? {} : { tupleBytesMax }),
        });
        print(
          format === 'json'
            ? JSON.stringify(json(created))
            : `created ${created.name} (id ${created.id})`,
        );
        return exitCodes.ok;
      }),
    );
}

function examples(...lines: readonly string[]): string {
  return ['\nExamples:', ...lines.map((line) => `  $ tuplet ${line}`)].join('\n');
}

/** `job/64/1,2`: the tag, over how many slots, by which fields. */
function parseRule(text: string): RoutingRule {
  const match = /^(.+)\/(\d+)\/(\d+(?:,\d+)*)$/.exec(text);
  if (match === null) throw new InvalidArgumentError('A rule looks like job/64/1 or job/64/1,2.');
  try {
    const [tag, more] = parseTuple(match[1] ?? '');
    if (tag === undefined || more !== undefined)
      throw new InvalidArgumentError('A rule has one tag.');
    return { tag, spread: Number(match[2]), fields: (match[3] ?? '').split(',').map(Number) };
  } catch (error) {
    if (error instanceof LanguageError) throw new InvalidArgumentError(error.message);
    throw error;
  }
}

function row(space: SpaceDescription): string[] {
  const { name, id, routingName, rules, createdAt } = space;
  return [name, String(id), routingName, String(rules.length), instant(createdAt) ?? ''];
}

function describe(space: SpaceDescription): string {
  const facts = [
    `name             ${space.name}`,
    `id               ${space.id}`,
    `routing name     ${space.routingName}`,
    `largest tuple    ${space.tupleBytesMax === 0 ? '1 MiB' : `${space.tupleBytesMax} bytes`}`,
    `created          ${instant(space.createdAt) ?? ''}`,
  ];
  const rules = space.rules.map(
    ({ tag, spread, fields }) =>
      `rule             ${formatValue(tag)} over ${spread} slots by field ${fields.join(', ')}`,
  );
  return [...facts, ...rules].join('\n');
}

function json(space: SpaceDescription): object {
  const { name, id, routingName, tupleBytesMax, createdAt } = space;
  const rules = space.rules.map(({ tag, spread, fields }) => ({
    tag: toJson(tag),
    spread,
    fields,
  }));
  return { name, id, routingName, rules, tupleBytesMax, createdAt: instant(createdAt) };
}
