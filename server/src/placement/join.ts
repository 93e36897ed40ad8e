/** How a node becomes one of a cluster that is there already. */
import type { Clock, Disk, Random } from '../base/doors.ts';
import { joinAgainMs } from '../base/limits.ts';
import { StartError } from '../partition/start-error.ts';
import { hasIdentity } from '../storage/identity.ts';
import type { JoinOutcome } from '../transport/ask-to-join.ts';
import type { JoinAnswer, JoinRequest } from '../transport/join-codec.ts';
import { type NodeIdentity, readNodeIdentity, writeNodeIdentity } from './identity.ts';

/** What joining is done with. */
export interface JoinOptions {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly random: Random;
  /** `host:port` of nodes of the cluster, where they hear other nodes. */
  readonly seeds: readonly string[];
  /** What the node of a key says of itself. */
  readonly describe: (key: string) => Omit<JoinRequest, 'key'>;
  readonly ask: (address: string, request: JoinRequest) => Promise<JoinOutcome>;
  /** Sentences for the operator. */
  readonly onWaiting: (message: string) => void;
}

/** A node that is one of a cluster. */
export type JoinedIdentity = NodeIdentity & { readonly joined: JoinAnswer };

/**
 * Who this node is, once a cluster has taken it in: at once where one has. Rejects with StartError where it is
 * refused, or where the folder has other data.
 */
export async function join(options: JoinOptions): Promise<JoinedIdentity> {
  const { disk, random } = options;
  const unlock = await disk.lock();
  try {
    const known = await readNodeIdentity(disk);
    const hasLog = await hasIdentity(disk);
    if (known === undefined && hasLog) {
      const message = 'the data is that of a founder, or of a node that is alone';
      throw new StartError('NOT_JOINED', message);
    }
    if (known?.isBegun === true && !hasLog) {
      const who = `node ${known.joined?.node}`;
      const message = `the data of ${who} is lost, and without it the node cannot come back as who it was`;
      throw new StartError('DATA_LOST', message);
    }
    if (isJoined(known)) return known;
    const identity = known ?? { key: newKey(random), isBegun: false };
    // Before anybody hears of it: whoever asks again is the same node.
    if (known === undefined) await writeNodeIdentity(disk, identity);
    const joined: JoinedIdentity = { ...identity, joined: await askAll(options, identity.key) };
    await writeNodeIdentity(disk, joined);
    return joined;
  } finally {
    unlock();
  }
}

/** The node's log is begun: from now on it is who it is by its log. */
export async function begun(disk: Disk, identity: NodeIdentity): Promise<void> {
  if (!identity.isBegun) await writeNodeIdentity(disk, { ...identity, isBegun: true });
}

function isJoined(identity: NodeIdentity | undefined): identity is JoinedIdentity {
  return identity?.joined !== undefined;
}

async function askAll(options: JoinOptions, key: string): Promise<JoinAnswer> {
  const { seeds, describe, ask, clock, onWaiting } = options;
  for (let round = 0; ; round += 1) {
    for (const seed of seeds) {
      const outcome = await ask(seed, { ...describe(key), key });
      if (outcome.kind === 'joined') return outcome.answer;
      if (outcome.kind === 'refused')
        throw new StartError('JOIN_REFUSED', `${seed} refuses this node: ${outcome.message}`);
      if (round === 0) onWaiting(`${seed} does not take this node in yet: ${outcome.message}`);
    }
    await new Promise<void>((resolve) => clock.after(joinAgainMs, resolve));
  }
}

function newKey(random: Random): string {
  let key = '';
  for (let word = 0; word < 4; word += 1) key += random.uint32().toString(16).padStart(8, '0');
  return key;
}
