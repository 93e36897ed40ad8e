/** A cluster as a person reads it. */
import type { ClusterDescription, ClusterGroup, ClusterNode, ClusterReplica } from '@tuplet/client';
import { table } from './output.ts';

/** Entries that a replica may lack and count as caught up: what is on its way. */
const lagShown = 1_000;

/** Whether replicas of a group come or go. */
export function isMoving({ replicas }: ClusterGroup): boolean {
  return replicas.some(({ role }) => role === 'joining' || role === 'leaving');
}

/** Replicas of partitions on a node, and its vote in the cluster map. */
export function placedOn({ groups }: ClusterDescription, node: number): number {
  return groups.filter(({ group, replicas }) =>
    replicas.some(
      (each) =>
        each.node === node && each.role !== undefined && (group !== 0 || each.role !== 'learner'),
    ),
  ).length;
}

/** One sentence: what is wrong, or that nothing is. */
export function summaryOf({ groups, nodes, replicaCount }: ClusterDescription): string {
  const led = groups.filter(({ leader }) => leader !== undefined).length;
  const away = nodes.filter(({ state, reachable }) => state !== 'removed' && !reachable);
  const few = groups.filter(({ group, replicas }) => {
    const staying = replicas.filter(({ role }) => role === 'voter' || role === 'joining').length;
    return group > 0 && staying < replicaCount;
  }).length;
  const moving = groups.filter(isMoving).length;
  const said = [
    led < groups.length ? `${groups.length - led} groups without a leader` : '',
    away.length > 0 ? `not reached: ${away.map(({ name }) => name).join(', ')}` : '',
    few > 0 ? `${few} partitions with fewer than ${replicaCount} replicas` : '',
    moving > 0 ? `${moving} moves under way` : '',
  ].filter((text) => text !== '');
  return said.length === 0 ? 'all is well' : said.join('; ');
}

/** The whole of it; `all`: every partition. */
export function showCluster(
  described: ClusterDescription,
  { all }: { readonly all: boolean },
): string {
  const { clusterId, nodes, groups, replicaCount } = described;
  const partitions = groups.length - 1;
  const head = `cluster ${clusterId}: ${partitions} partitions, ${replicaCount} replicas of each; ${summaryOf(described)}`;
  const shown = nodes.filter(({ state }) => state !== 'removed');
  const nodeTable = table(
    ['NODE', 'NAME', 'ZONE', 'STATE', 'PARTITIONS', 'LEADS', 'CLIENTS', 'NODES'],
    shown.map((node) => nodeRow(described, node)),
  );
  const seen = groups.filter((group) => all || group.group === 0 || isWorthALine(group));
  const names = new Map(nodes.map(({ node, name }) => [node, name]));
  const groupTable = table(
    ['PARTITION', 'LEADER', 'TERM', 'COMMITTED', 'REPLICAS'],
    seen.map((group) => groupRow(group, names)),
  );
  return [head, '', nodeTable, '', groupTable].join('\n');
}

function nodeRow({ groups }: ClusterDescription, node: ClusterNode): string[] {
  const partitions = groups.filter(({ group }) => group > 0);
  const here = partitions.filter(({ replicas }) =>
    replicas.some((each) => each.node === node.node && each.role !== undefined),
  ).length;
  const leads = partitions.filter(({ leader }) => leader === node.node).length;
  return [
    String(node.node),
    node.name,
    node.zone,
    node.reachable ? node.state : `${node.state}, not reached`,
    String(here),
    String(leads),
    node.clientAddress,
    node.peerAddress,
  ];
}

/** Whether something of a group is not as it is when all is well. */
function isWorthALine(group: ClusterGroup): boolean {
  const { leader, committed, replicas } = group;
  if (leader === undefined || isMoving(group)) return true;
  return replicas.some(({ match, active }) => !active || committed - match > lagShown);
}

function groupRow(group: ClusterGroup, names: ReadonlyMap<number, string>): string[] {
  const { leader, term, committed, replicas } = group;
  return [
    group.group === 0 ? 'map' : String(group.group),
    leader === undefined ? '-' : (names.get(leader) ?? String(leader)),
    String(term),
    String(committed),
    replicas.map((replica) => replicaText(group, replica, names)).join(', '),
  ];
}

function replicaText(
  { leader, committed }: ClusterGroup,
  { node, role, match, active }: ClusterReplica,
  names: ReadonlyMap<number, string>,
): string {
  const name = names.get(node) ?? String(node);
  const notes = [
    role === 'voter' ? '' : (role ?? 'leaving, not listed any more'),
    leader === undefined || active ? '' : 'silent',
    progressText(committed, match, role),
  ].filter((text) => text !== '');
  return notes.length === 0 ? name : `${name} (${notes.join(', ')})`;
}

function progressText(committed: number, match: number, role: ClusterReplica['role']): string {
  const lag = Math.max(0, committed - match);
  if (committed === 0 || match === 0) return '';
  if (role === 'joining') return `${Math.floor((100 * Math.min(match, committed)) / committed)}%`;
  return lag > lagShown ? `${lag} entries behind` : '';
}
