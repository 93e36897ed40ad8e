/** A cluster whose leader goes away while it is read. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Client, TupletError } from '@tuplet/client';
import { encodeTuple } from '@tuplet/proto';
import test from 'ava';
import type { LogIndex, NodeId, Slot, StampMs } from '../base/ids.ts';
import { ClusterMap } from '../cluster/cluster-map.ts';
import { encodeMapState } from '../cluster/map-codec.ts';
import { Driver, home } from '../space/testing-driver.ts';
import { exportCluster } from './export-file.ts';
import { openBackup } from './open-backup.ts';
import { readCluster } from './read-cluster.ts';
import { writeBackup } from './write-backup.ts';

const partition = 1;
const tuples = 40;

function mapState(): Uint8Array {
  const map = new ClusterMap();
  const founder = { id: 1 as NodeId, name: 'one', zone: '', peerAddress: 'a:1', clientAddress: '' };
  const command = {
    kind: 'found',
    clusterId: 'ab'.repeat(16),
    partitions: 1,
    replicaCount: 1,
    founders: [founder],
  } as const;
  map.apply(1 as LogIndex, { stampMs: 5 as StampMs, command });
  return encodeMapState(map.state());
}

function partitionState(): Uint8Array {
  const d = new Driver();
  for (let each = 0; each < tuples; each += 1) {
    const bytes = encodeTuple(['tuple', each, 'x'.repeat(50)]);
    const written = { slot: 0 as Slot, bytes, leaseMs: undefined };
    const conditions = { operation: undefined, absence: undefined, handOvers: [] };
    d.do({ kind: 'write', space: home, tuples: [written], ...conditions });
  }
  const cut = d.space.beginSnapshot();
  const chunks: Uint8Array[] = [];
  for (let chunk = cut.next(); chunk !== undefined; chunk = cut.next()) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** A client whose first `failures` readings of the partition end half way. */
function clientOf(failures: number, retryable = true): { client: Client; readings: () => number } {
  const states = [mapState(), partitionState()];
  let readings = 0;
  async function* readGroup(group: number): AsyncGenerator<Uint8Array> {
    const state = states[group] ?? new Uint8Array(0);
    if (group === partition) readings += 1;
    const isCut = group === partition && readings <= failures;
    const end = isCut ? state.length / 2 : state.length;
    for (let at = 0; at < end; at += 1_000) yield state.subarray(at, at + 1_000);
    if (isCut)
      throw new TupletError({
        reason: 'NO_LEADER',
        code: 'UNAVAILABLE',
        definite: true,
        retryable,
        message: 'it leads no more',
      });
  }
  const group = { term: 1, committed: 1, leader: 1, replicas: [] };
  const described = { nodes: [], groups: [0, 1].map((each) => ({ ...group, group: each })) };
  const admin = { describeCluster: async () => described, readGroup };
  return { client: { admin } as unknown as Client, readings: () => readings };
}

const { signal } = new AbortController();
const onGroup = (): void => undefined;

test('a partition whose leader goes away is read again, and counts once', async (t) => {
  const { client, readings } = clientOf(2);
  const ends: number[] = [];
  const { sum, groups } = await readCluster(client, {
    signal,
    end: async ({ group }) => void ends.push(group),
  });
  t.is(readings(), 3);
  t.deepEqual(sum.of(home), (await readCluster(clientOf(0).client, { signal })).sum.of(home));
  t.is(sum.of(home).tuples, tuples);
  t.is(groups[1]?.bytes, partitionState().length);
  t.deepEqual(ends, [1, 0]);
});

test('an export and a backup have each tuple once, whatever came before a leader went away', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'tuplet-read-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const file = join(folder, 'all.ndjson');
  const { client } = clientOf(1);
  t.is(await exportCluster(client, { file, space: undefined, signal, onGroup }), tuples);
  const lines = readFileSync(file, 'utf8').trimEnd().split('\n');
  t.is(lines.length, 1 + tuples);
  t.is(new Set(lines).size, lines.length);
  const backup = join(folder, 'backup');
  const manifest = await writeBackup(clientOf(1).client, { folder: backup, signal, onGroup });
  t.is(manifest.tuples, tuples);
  t.deepEqual((await openBackup(backup)).manifest, manifest);
});

test('what no repetition would help ends it', async (t) => {
  const { client, readings } = clientOf(1, false);
  await t.throwsAsync(readCluster(client, { signal }), { message: 'it leads no more' });
  t.is(readings(), 1);
});
