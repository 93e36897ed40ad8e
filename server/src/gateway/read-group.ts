/** ReadGroup: the state of a group that this node leads, as fast as its reader takes it. */
import type { ServerWritableStream } from '@grpc/grpc-js';
import * as contract from '@tuplet/proto/contract';
import type { GroupId, PartitionId } from '../base/ids.ts';
import { groupReadChunkBytes, groupReadsMax } from '../base/limits.ts';
import type { ClusterView } from '../cluster/cluster-view.ts';
import { type Failure, invalid } from '../router/failure.ts';
import { plainBytes, RefusedError } from './decode.ts';
import { failureOf, grpcErrorOf, isRefusal } from './status.ts';

/** What reading groups needs of the node. */
export interface ReadGroupPorts {
  /** Hands out a group's state: `PartitionHost.stateOf`. */
  stateOf(group: GroupId): Promise<AsyncIterable<Uint8Array> | 'not-led' | 'no-room' | 'ending'>;
  readonly view: ClusterView;
  /** A mistake of ours, to be logged. */
  failed(error: unknown): void;
}

type Stream = ServerWritableStream<Buffer, Buffer>;

/** Handles ReadGroup. */
export function readGroupHandler(ports: ReadGroupPorts): (stream: Stream) => void {
  let reads = 0;
  return (stream) => {
    // Whoever goes away is told nothing.
    stream.on('error', () => undefined);
    if (reads >= groupReadsMax) {
      const message = `${groupReadsMax} groups are being read at this node`;
      stream.emit('error', grpcErrorOf({ reason: 'OVERLOADED', message, limit: groupReadsMax }));
      return;
    }
    reads += 1;
    read(ports, stream)
      .catch((error: unknown) => {
        if (!isRefusal(error)) ports.failed(error);
        stream.emit('error', grpcErrorOf(failureOf(error)));
      })
      .finally(() => {
        reads -= 1;
      });
  };
}

async function read(ports: ReadGroupPorts, stream: Stream): Promise<void> {
  const request = contract.ReadGroupRequest.decode(plainBytes(stream.request), 'refuse');
  const group = request.group as GroupId;
  if (group > ports.view.partitions) {
    const message = `partitions have numbers from 1 to ${ports.view.partitions}`;
    throw new RefusedError(invalid('VALUE_OUT_OF_RANGE', 'group', message));
  }
  const state = await ports.stateOf(group);
  if (typeof state === 'string') throw new RefusedError(refusalOf(ports, group, state));
  for await (const chunk of state) {
    for (let at = 0; at < chunk.length; at += groupReadChunkBytes) {
      if (stream.cancelled || stream.destroyed) return;
      const piece = chunk.subarray(at, at + groupReadChunkBytes);
      const bytes = contract.ReadGroupResponse.encode({ chunk: piece });
      if (!stream.write(Buffer.from(bytes))) await drained(stream);
    }
  }
  stream.end();
}

/** The reader has taken what was written, or has gone. */
function drained(stream: Stream): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => {
      for (const event of ['drain', 'close', 'cancelled']) stream.off(event, end);
      resolve();
    };
    for (const event of ['drain', 'close', 'cancelled']) stream.on(event, end);
  });
}

function refusalOf(
  { view }: ReadGroupPorts,
  group: GroupId,
  why: 'not-led' | 'no-room' | 'ending',
): Failure {
  const what = group === 0 ? 'the cluster map' : `partition ${group}`;
  switch (why) {
    case 'ending':
      return { reason: 'SHUTTING_DOWN', message: 'the node is leaving' };
    case 'no-room':
      return { reason: 'DISK_FULL', message: `the disk has no room for a snapshot of ${what}` };
    case 'not-led': {
      const leader = group === 0 ? undefined : view.leaderOf(group as PartitionId)?.node;
      const elsewhere =
        leader === undefined || leader === view.self ? '' : `: node ${leader} leads it`;
      const message = `${what} is not led by this node${elsewhere}`;
      return { reason: 'NO_LEADER', message, retryMs: 100, partition: group as PartitionId };
    }
  }
}
