import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { home, runtime } from '../test/runtime.ts';
import { Status } from './gen/contract.ts';
import {
  decodeStatus,
  encodeStatus,
  errorRow,
  errorRows,
  failureOf,
  GrpcCode,
  isErrorReason,
  statusOf,
} from './index.ts';

test('§10 every reason has a row with a code of gRPC, a text and an action [10.2]', (t) => {
  const rows: unknown = JSON.parse(readFileSync(join(home, 'errors.json'), 'utf8'));
  if (!Array.isArray(rows)) return t.fail();
  t.is(rows.length, Object.keys(errorRows).length);
  for (const row of rows) {
    t.deepEqual(Object.keys(row), [
      'reason',
      'code',
      'by',
      'definite',
      'retryable',
      'text',
      'action',
    ]);
    t.regex(row.reason, /^[A-Z][A-Z0-9_]{2,62}$/);
    t.true(['server', 'client', 'later'].includes(row.by), row.reason);
    t.true(row.code in GrpcCode && row.code !== 'OK', row.reason);
    t.true(row.text.length > 10 && row.action.length > 3, row.reason);
  }
});

test('§10 NO_LEADER is definite, OUTCOME_UNKNOWN is not [10.2]', (t) => {
  t.like(errorRow('NO_LEADER'), { code: 'UNAVAILABLE', definite: true, retryable: true });
  t.like(errorRow('OUTCOME_UNKNOWN'), { code: 'UNAVAILABLE', definite: false, retryable: true });
  t.like(errorRow('SESSION_BUSY'), { code: 'RESOURCE_EXHAUSTED' });
  t.like(errorRow('CURSOR_COMPACTED'), { code: 'OUT_OF_RANGE' });
  t.like(errorRow('ROUTE_CHANGES'), { code: 'INVALID_ARGUMENT' });
});

test('§10 the codes have the numbers of google.rpc.Code', (t) => {
  const numbers: unknown = { ...runtime.lookupEnum('google.rpc.Code').values };
  t.deepEqual(numbers, { ...GrpcCode });
});

test('§10 a failure travels in google.rpc.Status [10.1]', (t) => {
  const metadata = new Map([['field', 'tuple']]);
  const bytes = encodeStatus({
    reason: 'NO_LEADER',
    message: 'no leader',
    metadata,
    retryAfterMs: 250,
  });
  t.deepEqual(decodeStatus(bytes), {
    reason: 'NO_LEADER',
    reasonText: 'NO_LEADER',
    code: 14,
    message: 'no leader',
    metadata,
    retryAfterMs: 250,
  });
});

test('§10 any protobuf library reads the details of a status [10.1]', (t) => {
  const bytes = encodeStatus({ reason: 'DISK_FULL', message: 'full', retryAfterMs: 1_500 });
  const status = runtime.lookupType('google.rpc.Status').decode(bytes).toJSON();
  t.like(status, { code: 8, message: 'full' });
  const prefix = 'type.googleapis.com/google.rpc';
  t.deepEqual(Reflect.get(status, 'details'), [
    { '@type': `${prefix}.ErrorInfo`, reason: 'DISK_FULL', domain: 'tuplet.dev' },
    { '@type': `${prefix}.RetryInfo`, retryDelay: { seconds: '1', nanos: 500_000_000 } },
  ]);
});

test('details that are damaged, foreign or of a newer server are passed over', (t) => {
  t.is(decodeStatus(Uint8Array.of(0x0a)), undefined);
  const status = statusOf({ reason: 'FENCED', message: 'm' });
  const [info] = status.details;
  if (info === undefined) return t.fail();
  const damaged = { ...info, value: Uint8Array.of(0x0a, 9) };
  t.like(decodeStatus(Status.encode({ ...status, details: [damaged] })), {
    reason: undefined,
    code: 10,
  });
  const newer = statusOf({ reason: 'FENCED', message: 'm' });
  const renamed = newer.details.map(({ typeUrl, value }) => ({
    typeUrl,
    value: Uint8Array.from(
      Buffer.from(Buffer.from(value).toString('latin1').replace('FENCED', 'FENCES'), 'latin1'),
    ),
  }));
  const read = decodeStatus(Status.encode({ ...newer, details: renamed }));
  t.like(read, { reason: undefined, reasonText: 'FENCES' });
  t.false(isErrorReason('toString'));
});

test('a problem becomes a failure that names field and limit', (t) => {
  const problem = {
    reason: 'TUPLE_ARITY',
    field: 'tuple',
    message: 'too many',
    limit: 64,
  } as const;
  const metadata = new Map([
    ['field', 'tuple'],
    ['limit', '64'],
  ]);
  t.deepEqual(failureOf(problem), { reason: 'TUPLE_ARITY', message: 'tuple: too many', metadata });
});
