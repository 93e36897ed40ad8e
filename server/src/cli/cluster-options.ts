/** The options of `tuplet serve` that make the node one of a cluster. */
import { type Command, InvalidArgumentError } from 'commander';
import type { NodeId } from '../base/ids.ts';
import { nodesMax, replicasMax } from '../base/limits.ts';
import { addressOf, advertisedAddress } from '../gateway/address.ts';
import type { ClusterOptions } from '../node.ts';
import { parseDuration } from './duration.ts';

/** What they come to. */
export interface ClusterFlags {
  readonly node?: NodeId;
  readonly founders?: ReadonlyMap<NodeId, string>;
  readonly found: boolean;
  readonly replicas?: number;
  readonly join?: readonly string[];
  readonly name?: string;
  readonly zone?: string;
  readonly listenPeer?: string;
  readonly advertisePeer?: string;
  readonly replaceAfter?: number;
  readonly insecure: boolean;
}

/** How many replicas a partition has, unless the founders are fewer or somebody says otherwise. */
const replicasDefault = 3;

/** Adds them. */
export function addClusterOptions(command: Command): Command {
  return command
    .option('--node <number>', 'which of the founders this is', nodeArgument)
    .option(
      '--founders <list>',
      'the nodes that found a cluster together, and where they hear each other: 1=host:port,2=host:port,...',
      foundersArgument,
    )
    .option('--found', 'an empty data folder founds the cluster: the first time alone', false)
    .option(
      '--replicas <count>',
      `replicas of each partition of a new cluster, 1 to ${replicasMax} (default: ${replicasDefault}, or as many as there are founders)`,
      replicasArgument,
    )
    .option(
      '--join <list>',
      'become a node of the cluster of these nodes, at any of them: host:port,... where they hear each other',
      seedsArgument,
    )
    .option('--name <name>', 'what the node is called; unique in its cluster')
    .option('--zone <name>', 'where it is: replicas of a partition are spread over zones')
    .option(
      '--listen-peer <host:port>',
      'address to hear other nodes at, if not that of --founders',
      listenArgument,
    )
    .option(
      '--advertise-peer <host:port>',
      'where other nodes reach this one, if not at --listen-peer',
      listenArgument,
    )
    .option(
      '--replace-after <duration>',
      'how long a node may be away before others get its replicas (default: 10m)',
      parseDuration,
    )
    .option('--insecure', 'nodes speak to each other without TLS', false);
}

/** What the options say together; undefined: the node is alone. A text: what is wrong. */
export function clusterOf(flags: ClusterFlags): ClusterOptions | string | undefined {
  const way = wayOf(flags);
  if (way === undefined || typeof way === 'string') return way ?? strayOf(flags);
  if (!flags.insecure)
    return 'nodes speak to each other without TLS so far: say --insecure if that may be';
  const own = way.kind === 'founders' ? way.founders.get(way.node) : undefined;
  const listen = flags.listenPeer ?? own;
  if (listen === undefined)
    return '--join needs --listen-peer: where the other nodes reach this one';
  const advertise = flags.advertisePeer ?? own ?? advertisedAddress(listen);
  if (advertise === undefined)
    return `other nodes cannot dial ${listen}: say where they reach this one with --advertise-peer`;
  if (addressOf(advertise).port === 0)
    return `other nodes cannot dial ${advertise}: it has no port`;
  const { name, zone, replaceAfter } = flags;
  return {
    way,
    credentials: { kind: 'insecure' },
    listen,
    advertise,
    ...(name === undefined ? {} : { name }),
    ...(zone === undefined ? {} : { zone }),
    ...(replaceAfter === undefined ? {} : { replaceAfterMs: replaceAfter }),
  };
}

function wayOf({
  node,
  founders,
  found,
  replicas,
  join,
}: ClusterFlags): ClusterOptions['way'] | string | undefined {
  if (join !== undefined) {
    if (node !== undefined || founders !== undefined || found)
      return '--join is for a node that is none of the founders: leave --node, --founders and --found out';
    if (replicas !== undefined) return '--replicas is for those who found a cluster';
    return { kind: 'join', seeds: join };
  }
  if (node === undefined && founders === undefined) return undefined;
  if (node === undefined || founders === undefined) return '--node and --founders go together';
  if (!founders.has(node)) return `--node ${node} is none of the founders`;
  if (replicas !== undefined && replicas > founders.size)
    return `--replicas ${replicas}: ${founders.size} founders have no room for so many`;
  const replicaCount = replicas ?? Math.min(replicasDefault, founders.size);
  return { kind: 'founders', node, founders, replicaCount, mayFound: found };
}

/** An option that says nothing where the node is alone. */
function strayOf(flags: ClusterFlags): string | undefined {
  const { found, replicas, name, zone, listenPeer, advertisePeer, replaceAfter, insecure } = flags;
  const given: readonly (readonly [string, unknown])[] = [
    ['--found', found || undefined],
    ['--insecure', insecure || undefined],
    ['--replicas', replicas],
    ['--name', name],
    ['--zone', zone],
    ['--listen-peer', listenPeer],
    ['--advertise-peer', advertisePeer],
    ['--replace-after', replaceAfter],
  ];
  const stray = given.find(([, value]) => value !== undefined)?.[0];
  return stray === undefined
    ? undefined
    : `${stray} is about a cluster: say which with --founders or --join`;
}

/** An address of the command line. */
export function listenArgument(text: string): string {
  try {
    addressOf(text);
    return text;
  } catch (error) {
    throw new InvalidArgumentError(error instanceof Error ? error.message : String(error));
  }
}

function nodeArgument(text: string): NodeId {
  const node = Number(text);
  if (!Number.isInteger(node) || node < 1 || node > nodesMax)
    throw new InvalidArgumentError(`nodes have numbers from 1 to ${nodesMax}`);
  return node as NodeId;
}

function replicasArgument(text: string): number {
  const count = Number(text);
  if (!Number.isInteger(count) || count < 1 || count > replicasMax)
    throw new InvalidArgumentError(`a partition has 1 to ${replicasMax} replicas`);
  return count;
}

function seedsArgument(text: string): readonly string[] {
  return text.split(',').map(listenArgument);
}

function foundersArgument(text: string): ReadonlyMap<NodeId, string> {
  const founders = new Map<NodeId, string>();
  for (const part of text.split(',')) {
    const [, number, address] = /^(\d+)=(.+)$/.exec(part) ?? [];
    if (number === undefined || address === undefined)
      throw new InvalidArgumentError(`"${part}" is not NUMBER=HOST:PORT`);
    const node = nodeArgument(number);
    if (founders.has(node)) throw new InvalidArgumentError(`node ${node} is there twice`);
    founders.set(node, listenArgument(address));
  }
  return founders;
}
