/** The nodes of the cluster map. */
import { assert } from '../base/assert.ts';
import type { NodeId } from '../base/ids.ts';
import { nodesMax, nodeTextBytesMax } from '../base/limits.ts';
import type { MapProblem } from './map-command.ts';
import type {
  AddNodeCommand,
  DescribeNodeCommand,
  NodeDescription,
  NodeRecord,
  NodeState,
} from './placement-types.ts';

const namePattern = /^[A-Za-z0-9][A-Za-z0-9._-]*$/;
const keyPattern = /^[0-9a-f]{32}$/;
const addressPattern = /^\S+:\d{1,5}$/;

/** What is wrong with what a node says of itself, whatever other nodes there are. */
export function nodeProblem(node: NodeDescription): MapProblem | undefined {
  const { name, zone, peerAddress, clientAddress } = node;
  for (const [field, text] of Object.entries({ name, zone, peerAddress, clientAddress })) {
    if (text.length <= nodeTextBytesMax) continue;
    const message = `${text.length} characters exceed ${nodeTextBytesMax}`;
    return { reason: 'NODE_DESCRIPTION', field: `node.${field}`, message, limit: nodeTextBytesMax };
  }
  if (!namePattern.test(name)) return unfit('name', 'letters, digits, ".", "_" and "-"');
  if (zone !== '' && !namePattern.test(zone))
    return unfit('zone', 'letters, digits, ".", "_", "-"');
  if (!addressPattern.test(peerAddress)) return unfit('peer_address', 'host:port');
  if (clientAddress !== '' && !addressPattern.test(clientAddress))
    return unfit('client_address', 'host:port');
  return undefined;
}

function unfit(field: string, form: string): MapProblem {
  const message = `the ${field.replace('_', ' ')} of a node has the form ${form}`;
  return { reason: 'NODE_DESCRIPTION', field: `node.${field}`, message };
}

/** Whether a text is the key of a node. */
export function isNodeKey(key: string): boolean {
  return keyPattern.test(key);
}

/** What an operation on the nodes comes to. */
export type NodeOutcome = NodeRecord | MapProblem;

/** The cluster's nodes, removed ones too: their numbers never come back. */
export class Nodes {
  // Invariant: in order of id.
  readonly #byId = new Map<NodeId, NodeRecord>();

  constructor(nodes: readonly NodeRecord[] = []) {
    for (const node of nodes) this.put(node);
  }

  /** In order of id. */
  all(): readonly NodeRecord[] {
    return [...this.#byId.values()];
  }

  get(id: NodeId): NodeRecord | undefined {
    return this.#byId.get(id);
  }

  /** Adds a node, or replaces its record. */
  put(node: NodeRecord): void {
    assert(this.#byId.has(node.id) || node.id > this.#lastId, 'numbers of nodes rise');
    this.#byId.set(node.id, node);
  }

  /** A node joins, or asks again. */
  add(command: AddNodeCommand): NodeOutcome {
    const { key, name, zone, peerAddress, clientAddress } = command;
    const known = this.all().find((node) => node.key === key);
    if (known?.state === 'removed') return removedProblem(known);
    if (known !== undefined) return known;
    const problem = this.#nameProblem(name, undefined);
    if (problem !== undefined) return problem;
    if (this.#lastId >= nodesMax) {
      const message = `${nodesMax} nodes have been in this cluster, and numbers are not used again`;
      return { reason: 'NODES_EXHAUSTED', field: '', message, limit: nodesMax };
    }
    const id = (this.#lastId + 1) as NodeId;
    const node: NodeRecord = { id, key, state: 'member', name, zone, peerAddress, clientAddress };
    this.put(node);
    return node;
  }

  /** A node describes itself. */
  describe({ node: id, name, zone, peerAddress, clientAddress }: DescribeNodeCommand): NodeOutcome {
    const node = this.#living(id);
    if ('reason' in node) return node;
    const problem = this.#nameProblem(name, id);
    if (problem !== undefined) return problem;
    const described = { ...node, name, zone, peerAddress, clientAddress };
    this.put(described);
    return described;
  }

  /** A node becomes something else; whether it may be removed the placement knows. */
  set(id: NodeId, state: NodeState): NodeOutcome {
    const node = this.#living(id);
    if ('reason' in node) return node;
    const changed = { ...node, state };
    this.put(changed);
    return changed;
  }

  #living(id: NodeId): NodeOutcome {
    const node = this.#byId.get(id);
    if (node === undefined)
      return { reason: 'NODE_NOT_FOUND', field: 'node', message: `there is no node ${id}` };
    return node.state === 'removed' ? removedProblem(node) : node;
  }

  #nameProblem(name: string, self: NodeId | undefined): MapProblem | undefined {
    const other = this.all().find((node) => node.name === name && node.state !== 'removed');
    if (other === undefined || other.id === self) return undefined;
    const message = `node ${other.id} has the name ${name}: names are unique in a cluster`;
    return { reason: 'NODE_NAME_TAKEN', field: 'node.name', message };
  }

  get #lastId(): number {
    return Math.max(0, ...this.#byId.keys());
  }
}

function removedProblem({ id, name }: NodeRecord): MapProblem {
  const message = `node ${id} (${name}) was removed from the cluster, for ever`;
  return { reason: 'NODE_REMOVED', field: 'node', message };
}
