import { resolve } from 'node:path';
import { type Command, InvalidArgumentError } from 'commander';
import type { Logger } from 'pino';
import { defaultListen } from '../gateway/address.ts';
import type { NodeOptions, RunningNode } from '../node.ts';
import {
  addClusterOptions,
  type ClusterFlags,
  clusterOf,
  listenArgument,
} from './cluster-options.ts';
import { parseDuration } from './duration.ts';
import { explainStart } from './start-failure.ts';

interface ServeOptions extends ClusterFlags {
  readonly data: string;
  readonly listen: string;
  readonly advertise?: string;
  readonly partitions?: number;
  readonly restore?: string;
  readonly historyBytes?: number;
  readonly historyAge?: number;
  readonly logLevel: string;
}

const examples = `
Examples:
  $ tuplet serve
  $ tuplet serve --data /var/lib/tuplet --listen 0.0.0.0:7447
  $ tuplet serve --listen 127.0.0.1:0     # a free port; it is printed
  $ tuplet serve --history-bytes 0        # no events are kept: less memory, no notify
  $ tuplet serve --node 1 --founders 1=a:7448,2=b:7448,3=c:7448 --insecure --found
                                          # on a, the first time; so on b and c
  $ tuplet serve --restore /backups/monday
                                          # an empty data folder begins with what the backup holds
  $ tuplet serve --join a:7448,b:7448 --listen-peer d:7448 --insecure
                                          # on d: one more node of that cluster`;

/** Parts of a node that somebody else provides than its operator: for tests that break them. */
export type ServeDoors = (dataDir: string) => Promise<Pick<NodeOptions, 'disk' | 'clock'>>;

/** Adds `tuplet serve`. */
export function addServe(program: Command, doors?: ServeDoors): void {
  const serving = program
    .command('serve')
    .description('serve a tuple space from a data folder')
    .option('-d, --data <folder>', 'where the data lies; made where there is none', './tuplet-data')
    .option('-l, --listen <host:port>', 'address to listen at', listenArgument, defaultListen)
    .option(
      '--advertise <host:port>',
      'where clients reach this node, if not at --listen: other nodes tell them',
      listenArgument,
    )
    .option('--partitions <count>', 'partitions of a new cluster, 1 to 256', countArgument)
    .option(
      '--restore <folder>',
      'found the cluster from a backup, as a new one; the same backup on all founders',
    )
    .option(
      '--history-bytes <count>',
      'of events kept for notify in each partition; 0: none (default: 8 MiB)',
      bytesArgument,
    )
    .option(
      '--history-age <duration>',
      'how long they are kept, such as 30s or 2h; 0: not at all (default: 10m)',
      parseDuration,
    )
    .option('--log-level <level>', 'trace, debug, info, warn, error, fatal or silent', 'info');
  addClusterOptions(serving)
    .addHelpText('after', examples)
    .action(async (options: ServeOptions) => serve(options, doors));
}

async function serve(options: ServeOptions, doors: ServeDoors | undefined): Promise<void> {
  // Only here, so that the other commands do not load a server.
  const [{ startNode }, { openBackup }, { destination, pino }] = await Promise.all([
    import('../node.ts'),
    import('../backup/open-backup.ts'),
    import('pino'),
  ]);
  const dataDir = resolve(options.data);
  // Logs go to the error output: the other one says where the node serves, and nothing else.
  const logger = pino({ level: options.logLevel, base: null }, destination({ fd: 2, sync: true }));
  const { listen, advertise, partitions, historyBytes, historyAge } = options;
  const restoring = options.restore !== undefined && options.join !== undefined;
  const cluster = restoring
    ? '--restore is for those who found a cluster: a node that joins gets everything from the others'
    : clusterOf(options);
  if (typeof cluster === 'string') {
    process.stderr.write(`tuplet: cannot serve: ${cluster}\n`);
    process.exitCode = 2;
    return;
  }
  let node: RunningNode;
  try {
    const backup =
      options.restore === undefined ? undefined : await openBackup(resolve(options.restore));
    node = await startNode({
      ...(doors === undefined ? { dataDir } : await doors(dataDir)),
      listen,
      logger,
      ...(advertise === undefined ? {} : { advertise }),
      ...(partitions === undefined ? {} : { partitions }),
      ...(historyBytes === undefined ? {} : { historyBytesMax: historyBytes }),
      ...(historyAge === undefined ? {} : { historyMs: historyAge }),
      ...(cluster === undefined ? {} : { cluster }),
      ...(backup === undefined ? {} : { restore: backup.restore }),
    });
  } catch (error) {
    process.stderr.write(`tuplet: cannot serve: ${explainStart(error, { dataDir, listen })}\n`);
    process.exitCode = 1;
    return;
  }
  process.stdout.write(`serving at ${node.address}, data in ${dataDir}\n`);
  for (const signal of ['SIGTERM', 'SIGINT'] as const)
    process.once(signal, () => void stop(node, logger, signal));
}

async function stop(node: RunningNode, logger: Logger, signal: string): Promise<void> {
  logger.info({ signal }, 'stopping');
  try {
    await node.close();
    process.exit(0);
  } catch (error) {
    logger.fatal({ error: messageOf(error) }, 'the node did not stop as it should');
    process.exit(1);
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function countArgument(text: string): number {
  const count = Number(text);
  if (!Number.isInteger(count) || count < 1 || count > 256)
    throw new InvalidArgumentError('a cluster has 1 to 256 partitions');
  return count;
}

function bytesArgument(text: string): number {
  const bytes = Number(text);
  if (text === '' || !Number.isSafeInteger(bytes) || bytes < 0)
    throw new InvalidArgumentError('a number of bytes, or 0 for none');
  return bytes;
}
