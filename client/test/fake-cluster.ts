/** A fake server that says it is several nodes: which one, by the address that was dialed. */

import { message } from './exchange-codec.ts';
import type { FakeConnection, FakeServer } from './fake-server.ts';

export interface FakeCluster {
  /** By partition: who leads it, in which epoch. */
  readonly leaders: Map<number, { node: number; epoch: number }>;
  /** Nodes that clients are told of. */
  nodes: number[];
  /** Who answers at an address. */
  readonly nodeAt: Map<string | undefined, number>;
  /** Of which cluster that node says it is. */
  clusterOf(node: number): string;
  /** The newest connection to a node's address. */
  to(node: number): FakeConnection;
  /** Tells everybody, or those who are connected to some nodes, how it is now. */
  tell(...nodes: number[]): void;
}

export function addressOf(node: number): string {
  return `node-${node}:7447`;
}

/** Nodes 1 to 3; whoever dials no address comes to node 1. */
export function makeCluster(server: FakeServer): FakeCluster {
  const nodeOf = ({ address }: FakeConnection): number => cluster.nodeAt.get(address) ?? 0;
  const cluster: FakeCluster = {
    leaders: new Map(),
    nodes: [1, 2, 3],
    nodeAt: new Map([[undefined, 1], ...[1, 2, 3].map((node) => [addressOf(node), node] as const)]),
    clusterOf: () => 'fake',
    to: (node) => {
      const found = server.connections.findLast(({ address }) => address === addressOf(node));
      if (found === undefined) throw new Error(`nobody has dialed node ${node}`);
      return found;
    },
    tell: (...nodes) => {
      for (const connection of server.connections) {
        const isMeant = nodes.length === 0 || nodes.includes(nodeOf(connection));
        if (connection.isOpen && isMeant) server.toldOf(connection);
      }
    },
  };
  server.topology = (connection) => {
    const node = nodeOf(connection);
    return message([
      [1, cluster.clusterOf(node)],
      [2, node],
      ...cluster.nodes.map(
        (each) =>
          [
            3,
            message([
              [1, each],
              [2, addressOf(each)],
            ]),
          ] as const,
      ),
      ...[...cluster.leaders].map(
        ([partition, leader]) =>
          [
            4,
            message([
              [1, partition],
              [2, leader.node],
              [3, leader.epoch],
            ]),
          ] as const,
      ),
    ]);
  };
  return cluster;
}
