import type { Clock, Disk, Random } from '../base/doors.ts';
import type { NodeId } from '../base/ids.ts';
import { type Founding, founderAt } from '../partition/founding.ts';
import { askToJoin } from '../transport/ask-to-join.ts';
import type { PeerAddresses } from '../transport/links.ts';
import type { PeerCredentials } from '../transport/peer-credentials.ts';
import { begun, join } from './join.ts';

/** How a node begins to be one of a cluster. */
export interface NodeStart {
  /** From 1; for ever. */
  readonly node: NodeId;
  /** The cluster that it is one of; empty: none yet. */
  readonly cluster: string;
  /** Where the nodes are that were named: until the map is here, and after that if they are `isCommanded`. */
  readonly addresses: PeerAddresses;
  /** Whether the operator has named them at this start. */
  readonly isCommanded: boolean;
  readonly founding: Founding;
  readonly ifEmpty: 'found' | 'join' | 'refuse';
  /** To be called when the node's log is begun, before it speaks to anybody. */
  readonly begun?: () => Promise<void>;
}

/** Which node this is, and who founds the cluster. */
export interface FoundersWay {
  readonly kind: 'founders';
  /** From 1; for ever. */
  readonly node: NodeId;
  /** All founders, this one too: where each hears the others, `host:port`. The same on each of them. */
  readonly founders: PeerAddresses;
  /** How many replicas each partition of a new cluster shall have. */
  readonly replicaCount: number;
  /**
   * Whether an empty data folder founds the cluster with the others: the first time alone. One that has
   * lost its data would come back as who it was, without what it has acknowledged.
   */
  readonly mayFound: boolean;
}

/** A node that joins a cluster, or has joined it. */
export interface JoinWay {
  readonly kind: 'join';
  /** `host:port` of nodes of the cluster, where they hear other nodes. */
  readonly seeds: readonly string[];
  /** What it is called; undefined: made of its key. */
  readonly name: string | undefined;
  readonly zone: string;
  /** `host:port` at which the others dial this node. */
  readonly advertise: string;
  readonly credentials: PeerCredentials;
}

/** A founder: its replicas have the number of its node. */
export function founderStart({ node, founders, replicaCount, mayFound }: FoundersWay): NodeStart {
  const ids = [...founders.keys()].sort((one, other) => one - other);
  return {
    node,
    cluster: '',
    addresses: founders,
    isCommanded: true,
    founding: {
      replica: node,
      founders: ids.map((id) => founderAt(id, founders.get(id) ?? '')),
      replicaCount,
    },
    ifEmpty: mayFound ? 'found' : 'refuse',
  };
}

/** A node that joins: resolves once a cluster has taken it in. Rejects with StartError or DiskError. */
export async function joinerStart(
  { seeds, name, zone, advertise, credentials }: JoinWay,
  doors: {
    readonly disk: Disk;
    readonly clock: Clock;
    readonly random: Random;
    readonly onWaiting: (message: string) => void;
  },
): Promise<NodeStart> {
  const { disk, clock } = doors;
  const identity = await join({
    ...doors,
    seeds,
    describe: (key) => ({
      name: name ?? `node-${key.slice(0, 8)}`,
      zone,
      peerAddress: advertise,
    }),
    ask: (address, request) => askToJoin({ address, credentials, clock }, request),
  });
  const { node, cluster, nodes } = identity.joined;
  return {
    node,
    cluster,
    addresses: new Map(nodes.map((each) => [each.node, each.address])),
    isCommanded: false,
    founding: { replica: node, founders: [], replicaCount: 1 },
    ifEmpty: 'join',
    begun: () => begun(disk, identity),
  };
}
