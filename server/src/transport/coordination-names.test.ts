/** Which field of coordination.proto each number is: what is swapped on both sides comes back all the same. */
import { fileURLToPath } from 'node:url';
import { loadSync, type MessageTypeDefinition } from '@grpc/proto-loader';
import test from 'ava';
import type {
  Attempt,
  GroupId,
  LogIndex,
  NodeId,
  PartitionId,
  Sequence,
  SessionId,
  Slot,
  SpaceId,
  StampMs,
  Term,
  TupleId,
} from '../base/ids.ts';
import { Prng } from '../base/prng.ts';
import { encodeNodeRecord, encodeSpaceRecord, encodeSpaceSettings } from '../cluster/map-codec.ts';
import type { MapOutcome, SpaceRecord } from '../cluster/map-command.ts';
import type { NodeRecord } from '../cluster/placement-types.ts';
import type { Answer, BetweenLeaders, Change, ToLeader } from '../coordination/messages.ts';
import type { SessionOperation } from '../space/command.ts';
import type { StoredTuple } from '../space/outcome.ts';
import type { CoordinationItem } from './coordination-codec.ts';
import type { HistoryOutcome } from './history-codec.ts';
import type { SpaceCommand } from './map-call-codec.ts';
import { encode } from './testing-coordination.ts';
import { template, tupleBytes } from './testing-items.ts';

const loaded = loadSync('tuplet/internal/v1/coordination.proto', {
  includeDirs: [fileURLToPath(new URL('../../../../proto/', import.meta.url))],
  longs: Number,
  enums: String,
});
const runtime = loaded['tuplet.internal.v1.CoordinationBatch'] as MessageTypeDefinition<
  object,
  { readonly items: readonly object[] }
>;
const said = (item: CoordinationItem): object | undefined =>
  runtime.deserialize(encode(item)).items[0];

type Named<U extends { readonly kind: string }> = {
  readonly [K in U['kind']]: readonly [Omit<Extract<U, { readonly kind: K }>, 'kind'>, object];
};

const prng = new Prng(1);
const space = 31 as SpaceId;
const session = 32 as SessionId;
const epoch = 33 as Term;
const tuple = 34 as TupleId;
const revision = 35 as LogIndex;
const slot = 36 as Slot;
const call = 3;
const operation: SessionOperation = {
  kind: 'session',
  session,
  sequence: 42 as Sequence,
  attempt: 43 as Attempt,
  floor: 41 as Sequence,
};
const whose = { session: 32, sequence: 42, attempt: 43, floor: 41 };
const matches = template(prng);
const pattern = Buffer.from(matches.bytes);
const query = { space, template: matches, max: 52, min: 51, waitedMs: 53 };
const asked = { space: 31, template: pattern, max: 52, min: 51, waitedMs: 53 };
const bytes = tupleBytes(prng);
const delta = Uint8Array.of(0x18, 2);
const one = { slot, bytes, leaseMs: 61 };
const oneSaid = { slot: 36, tuple: Buffer.from(bytes), leaseMs: 61 };

const changes: Named<Change> = {
  write: [
    { space, tuples: [one] },
    { space: 31, tuples: [oneSaid] },
  ],
  'write-if-absent': [
    { space, tuple: one, absent: matches },
    { space: 31, tuple: oneSaid, absent: pattern },
  ],
  replace: [
    { space, target: { tuple, revision }, slot, bytes, leaseMs: 61 },
    {
      space: 31,
      version: { tupleId: 34, revision: 35 },
      slot: 36,
      tuple: Buffer.from(bytes),
      leaseMs: 61,
    },
  ],
  increment: [
    { space, template: matches, field: 62, delta },
    { space: 31, template: pattern, field: 62, delta: Buffer.from(delta) },
  ],
  cancel: [
    { space, tuple },
    { space: 31, tuple: 34 },
  ],
  renew: [
    { space, tuple, leaseMs: 61 },
    { space: 31, tuple: 34, leaseMs: 61 },
  ],
};

const toLeaders: Named<ToLeader> = {
  register: [
    { call, operation, r: 71, query },
    { operation: whose, r: 71, query: asked },
  ],
  accept: [
    { call, operation, epoch, offer: 72 },
    { operation: whose, epoch: 33, offer: 72 },
  ],
  decline: [
    { call, operation, epoch, offer: 72, r: 71 },
    { operation: whose, epoch: 33, offer: 72, r: 71 },
  ],
  withdraw: [{ call, operation }, { operation: whose }],
  fence: [{ call, operation }, { operation: whose }],
  take: [
    { call, operation, epoch, m: 73, query, waitEnded: true, cancelled: false },
    { operation: whose, epoch: 33, m: 73, waitEnded: true, query: asked },
  ],
  mutate: [
    { call, operation, epoch, m: 73, change: { kind: 'cancel', space, tuple } },
    { operation: { session: whose }, epoch: 33, m: 73, cancel: { space: 31, tuple: 34 } },
  ],
  read: [
    { call, m: 73, query, states: ['handed', 'ready'], waitEnded: false, cancelled: true },
    {
      m: 73,
      cancelled: true,
      query: asked,
      states: ['TUPLE_STATE_HANDED', 'TUPLE_STATE_READY'],
    },
  ],
  count: [
    { call, space, template: matches, states: ['ready'] },
    { space: 31, template: pattern, states: ['TUPLE_STATE_READY'] },
  ],
  acknowledge: [
    { call, session, floor: 41 as Sequence, receipts: [{ sequence: 42 as Sequence, tuple }] },
    { session: 32, floor: 41, receipts: [{ sequence: 42, tuple: 34 }] },
  ],
  'open-session': [
    { call, leaseMs: 61, name: 'some' },
    { leaseMs: 61, name: 'some' },
  ],
  'keep-session': [{ call, session }, { session: 32 }],
  'close-session': [{ call, session }, { session: 32 }],
  'drop-space': [{ call, space }, { space: 31 }],
};

const stored: StoredTuple = {
  id: tuple,
  revision,
  bytes,
  deliveries: 81,
  writtenAtMs: 82 as StampMs,
  leaseEndMs: 83 as StampMs,
  state: 'handed',
};
const storedSaid = {
  tupleId: 34,
  revision: 35,
  writtenAtMs: 82,
  leaseEndMs: 83,
  deliveries: 81,
  state: 'TUPLE_STATE_HANDED',
  bytes: Buffer.from(bytes),
};

const answers: Named<Answer> = {
  offer: [
    { operation, offer: 72 },
    { operation: whose, offer: 72 },
  ],
  result: [
    { m: 73, result: { kind: 'handed', tuples: [stored] } },
    { m: 73, handed: { tuples: [storedSaid] } },
  ],
  stop: [{ why: 'closed' }, { why: 'STOP_REASON_CLOSED' }],
  miss: [
    { offerEpoch: 33 as Term, offer: 72 },
    { offerEpoch: 33, offer: 72 },
  ],
  empty: [{}, {}],
  fenced: [{}, {}],
  nothing: [
    { m: 73, cancelled: true },
    { m: 73, cancelled: true },
  ],
  unchanged: [{ m: 73 }, { m: 73 }],
  refused: [
    { reason: 'DISK_FULL', message: 'full', m: 73, inDoubt: true },
    { reason: 'DISK_FULL', message: 'full', m: 73, inDoubt: true },
  ],
  found: [
    { m: 73, tuples: [stored] },
    { m: 73, tuples: [storedSaid] },
  ],
  counted: [{ count: 84 }, { count: 84 }],
  received: [{}, {}],
  'session-opened': [
    { session, leaseMs: 61 },
    { session: 32, leaseMs: 61 },
  ],
  'session-kept': [{ leaseMs: 61 }, { leaseMs: 61 }],
  done: [{}, {}],
  'not-leader': [{ definite: true }, { definite: true }],
};

const between: Named<BetweenLeaders> = {
  'ask-open': [
    { session, from: 7 as PartitionId, epoch },
    { fromPartition: 7, epoch: 33 },
  ],
  open: [{ session, epoch }, { epoch: 33 }],
  'not-open': [{ session, epoch }, { epoch: 33 }],
  'deliver-end': [{ session, home: 7 as PartitionId }, { homePartition: 7 }],
  'end-applied': [{ session, from: 7 as PartitionId }, { fromPartition: 7 }],
};

const settings = { rules: [], like: undefined, tupleBytesMax: 91 };
const record: SpaceRecord = {
  id: space,
  name: 'jobs',
  settings,
  routingName: 'work',
  rules: [{ tag: 'big', spread: 8, fields: [1] }],
  createdAtMs: 82 as StampMs,
};

const commands: Named<SpaceCommand> = {
  'create-space': [
    { name: 'jobs', settings },
    { name: 'jobs', settings: Buffer.from(encodeSpaceSettings(settings)) },
  ],
  'drop-space': [{ name: 'jobs' }, { name: 'jobs' }],
};

const changed = { space: Buffer.from(encodeSpaceRecord(record)), epoch: 92 };
const node: NodeRecord = {
  id: 94 as NodeId,
  key: 'a'.repeat(32),
  state: 'draining',
  name: 'four',
  zone: 'east',
  peerAddress: 'four:7448',
  clientAddress: 'four:7447',
};

const outcomes: Named<MapOutcome> = {
  created: [{ space: record, epoch: 92 }, changed],
  dropped: [{ space: record, epoch: 92 }, changed],
  node: [{ node }, { node: Buffer.from(encodeNodeRecord(node)) }],
  done: [{}, {}],
  refused: [
    { problem: { reason: 'SPACE_NAME', field: 'name', message: 'long', limit: 93 } },
    { reason: 'SPACE_NAME', field: 'name', message: 'long', limit: 93 },
  ],
};

const camel = (kind: string): string =>
  kind.replace(/-(.)/g, (_, letter: string) => letter.toUpperCase());
const entries = (named: object): [string, readonly [object, object]][] => Object.entries(named);

test('each field of a message to a leader has the name that coordination.proto gives it', (t) => {
  const toLeader = (message: ToLeader): CoordinationItem => ({
    kind: 'to-leader',
    partition: 1 as PartitionId,
    router: 2,
    message,
  });
  for (const [kind, [ours, theirs]] of entries(toLeaders)) {
    const item = toLeader({ kind, ...ours } as ToLeader);
    const head = { partition: 1, router: 2, call: 3 };
    t.deepEqual(said(item), { toLeader: { ...head, [camel(kind)]: theirs } });
  }
  for (const [kind, [ours, theirs]] of entries(changes)) {
    const change = { kind, ...ours } as Change;
    const item = toLeader({ kind: 'mutate', call, operation: undefined, epoch, m: 73, change });
    t.like(said(item), { toLeader: { mutate: { [camel(kind)]: theirs } } });
  }
});

test('each field of an answer has the name that coordination.proto gives it', (t) => {
  const head = { call, partition: 1 as PartitionId, epoch };
  for (const [kind, [ours, theirs]] of entries(answers)) {
    const message = { kind, ...head, ...ours } as Answer & typeof head;
    t.deepEqual(said({ kind: 'from-leader', router: 2, message }), {
      fromLeader: { router: 2, call: 3, partition: 1, epoch: 33, [camel(kind)]: theirs },
    });
  }
  for (const [number, why] of (
    ['ended', 'closed', 'fenced', 'unknown-session'] as const
  ).entries()) {
    const message = { kind: 'stop', ...head, why } as const;
    const reason = ['ENDED', 'CLOSED', 'FENCED', 'UNKNOWN_SESSION'][number];
    const item = said({ kind: 'from-leader', router: 2, message });
    t.like(item, { fromLeader: { stop: { why: `STOP_REASON_${reason}` } } });
  }
});

test('each field of what leaders and links say has the name that coordination.proto gives it', (t) => {
  const partition = 1 as PartitionId;
  for (const [kind, [ours, theirs]] of entries(between)) {
    const message = { kind, ...ours } as BetweenLeaders;
    t.deepEqual(said({ kind: 'between-leaders', partition, message }), {
      betweenLeaders: { partition: 1, session: 32, [camel(kind)]: theirs },
    });
  }
  t.deepEqual(said({ kind: 'leadership', partition, epoch }), {
    leadership: { partition: 1, epoch: 33 },
  });
  t.deepEqual(said({ kind: 'client-address', address: 'a:1' }), {
    clientAddress: { address: 'a:1' },
  });
  for (const kind of ['router-attached', 'router-detached'] as const) {
    t.deepEqual(said({ kind, router: 2 }), { [camel(kind)]: { router: 2 } });
  }
});

test('each field of what is said of the cluster map has the name that coordination.proto gives it', (t) => {
  t.deepEqual(said({ kind: 'map-leadership', epoch }), { mapLeadership: { epoch: 33 } });
  t.deepEqual(said({ kind: 'read-index', call, group: 4 as GroupId }), {
    readIndex: { call: 3, group: 4 },
  });
  t.deepEqual(said({ kind: 'index-answer', call, index: 5 as LogIndex }), {
    indexAnswer: { call: 3, index: 5 },
  });
  const group = 4 as GroupId;
  t.deepEqual(said({ kind: 'hand-over', group, to: 5 }), { handOver: { group: 4, toReplica: 5 } });
  t.deepEqual(said({ kind: 'status-ask', call }), { statusAsk: { call: 3 } });
  const nodes = [{ node: 5 as NodeId, address: 'a:1' }];
  t.deepEqual(said({ kind: 'known-nodes', nodes }), { knownNodes: { nodes } });
  const last = { revision: 5 as LogIndex, position: 6 };
  const cut = { revision: 7 as LogIndex, position: 8 };
  t.deepEqual(said({ kind: 'history-ask', call, partition: 4 as PartitionId, after: last }), {
    historyAsk: { call: 3, partition: 4, after: last },
  });
  const history: readonly [HistoryOutcome, object][] = [
    [{ kind: 'bounds', last, cut }, { bounds: { last, cut } }],
    [{ kind: 'events', records: [Uint8Array.of(1)] }, { events: { events: [Buffer.of(1)] } }],
    [{ kind: 'compacted' }, { compacted: {} }],
    [{ kind: 'absent' }, { absent: {} }],
  ];
  for (const [outcome, theirs] of history) {
    t.deepEqual(said({ kind: 'history-answer', call, outcome }), {
      historyAnswer: { call: 3, ...theirs },
    });
  }
  const replicas = [{ replica: 6, match: 7 as LogIndex, isActive: true }];
  const groups = [{ group, term: 8 as Term, committed: 9 as LogIndex, replicas }];
  t.deepEqual(said({ kind: 'status-answer', call, groups }), {
    statusAnswer: {
      call: 3,
      groups: [
        { group: 4, term: 8, committed: 9, replicas: [{ replica: 6, match: 7, active: true }] },
      ],
    },
  });
  for (const [kind, [ours, theirs]] of entries(commands)) {
    const command = { kind, ...ours } as SpaceCommand;
    t.deepEqual(said({ kind: 'map-call', call, command }), {
      mapCall: { call: 3, [camel(kind)]: theirs },
    });
  }
  for (const [kind, [ours, theirs]] of entries(outcomes)) {
    const outcome = { kind, ...ours } as MapOutcome;
    t.deepEqual(said({ kind: 'map-answer', call, outcome }), {
      mapAnswer: { call: 3, [kind]: theirs },
    });
  }
});
