import { deepStrictEqual } from 'node:assert';
import { fileURLToPath } from 'node:url';
import { loadSync, type MessageTypeDefinition } from '@grpc/proto-loader';
import { DecodeError } from '@tuplet/proto';
import test from 'ava';
import { FormatError } from '../base/format-error.ts';
import type { NodeId } from '../base/ids.ts';
import {
  type JoinAnswer,
  type JoinRequest,
  readJoinAnswer,
  readJoinRequest,
  writeJoinAnswer,
  writeJoinRequest,
} from './join-codec.ts';

const includeDirs = [fileURLToPath(new URL('../../../../proto/', import.meta.url))];
const loaded = loadSync('tuplet/internal/v1/peer.proto', { includeDirs, longs: Number });

/** What the protobufjs runtime reads of our bytes; it would have written the same. */
function said(name: string, ours: Buffer): object {
  const type = loaded[`tuplet.internal.v1.${name}`] as MessageTypeDefinition<object, object>;
  const message = type.deserialize(ours);
  deepStrictEqual(type.serialize(message), ours);
  return message;
}

const request: JoinRequest = {
  key: '0'.repeat(32),
  name: 'node-4',
  zone: 'b',
  peerAddress: 'd:7448',
};
const answer: JoinAnswer = {
  cluster: 'c'.repeat(32),
  node: 4 as NodeId,
  nodes: [
    { node: 1 as NodeId, address: 'a:7448' },
    { node: 4 as NodeId, address: 'd:7448' },
  ],
};

test('who asks to join, and the answer, come back as they were, and are those of the contract', (t) => {
  t.deepEqual(readJoinRequest(writeJoinRequest(request)), request);
  t.deepEqual(readJoinRequest(writeJoinRequest({ ...request, zone: '' })).zone, '');
  t.deepEqual(said('JoinRequest', writeJoinRequest(request)), { formatVersion: 1, ...request });
  t.deepEqual(readJoinAnswer(writeJoinAnswer(answer)), answer);
  const { cluster, ...rest } = answer;
  t.deepEqual(said('JoinResponse', writeJoinAnswer(answer)), { clusterId: cluster, ...rest });
});

test('what no node writes is refused, and another format by its number', (t) => {
  const bytes = writeJoinRequest(request);
  t.throws(() => readJoinRequest(Uint8Array.of(8, 2, ...bytes.subarray(2))), {
    instanceOf: FormatError,
  });
  const long = writeJoinRequest({ ...request, name: 'n'.repeat(300) });
  const nobody = writeJoinAnswer({ ...answer, node: 0 as NodeId });
  const nowhere = writeJoinAnswer({ ...answer, cluster: '' });
  for (const [read, wrong] of [
    [readJoinRequest, new Uint8Array()],
    [readJoinRequest, bytes.subarray(2)],
    [readJoinRequest, Uint8Array.of(...bytes, 0x78, 1)],
    [readJoinRequest, long],
    [readJoinAnswer, nobody],
    [readJoinAnswer, nowhere],
    [readJoinAnswer, Uint8Array.of(...writeJoinAnswer(answer), 0x78, 1)],
  ] as const) {
    t.throws(() => void read(wrong), { instanceOf: DecodeError });
  }
});
