import { type Client, connect, type Space } from '@tuplet/client';
import { type Command, Option } from 'commander';
import { exitCodes, explain } from './exit.ts';
import type { Format } from './output.ts';

/** Options that every command of a client has. */
export interface ClientOptions {
  readonly server: string;
  readonly output: Format;
  readonly space: string;
}

/** What a command is given: a connected client, and how to print. */
export interface Session {
  readonly client: Client;
  readonly space: Space;
  readonly format: Format;
  /** Fires when the user interrupts. */
  readonly signal: AbortSignal;
  print(text: string): void;
}

/** Adds the options of a client to a command; `withSpace` where it speaks to one space. */
export function clientOptions(
  command: Command,
  { withSpace }: { readonly withSpace: boolean },
): Command {
  command
    .addOption(
      new Option('-s, --server <url>', 'where the server is')
        .env('TUPLET_SERVER')
        .default('tuplet://localhost:7447'),
    )
    .addOption(
      new Option('-o, --output <format>', 'how to print')
        .choices(['table', 'json'])
        .default('table'),
    );
  if (withSpace) {
    command.addOption(
      new Option('--space <name>', 'the space').env('TUPLET_SPACE').default('default'),
    );
  }
  return command;
}

/** Connects, runs a command, sets the exit code. What goes wrong is said in one line on standard error. */
export async function run(
  options: ClientOptions,
  command: (session: Session) => Promise<number>,
): Promise<void> {
  const interrupt = new AbortController();
  const onSignal = (): void => interrupt.abort();
  process.once('SIGINT', onSignal).once('SIGTERM', onSignal);
  try {
    await using client = await connect(options.server, { name: 'tuplet command line' });
    process.exitCode = await command({
      client,
      space: client.space(options.space ?? 'default'),
      format: options.output,
      signal: interrupt.signal,
      print: (text) => {
        if (text !== '') process.stdout.write(`${text}\n`);
      },
    });
  } catch (error) {
    const { code, text } = interrupt.signal.aborted
      ? { code: exitCodes.failed, text: 'interrupted' }
      : explain(error);
    process.stderr.write(`tuplet: ${text}\n`);
    process.exitCode = code;
  } finally {
    process.removeListener('SIGINT', onSignal).removeListener('SIGTERM', onSignal);
  }
}
