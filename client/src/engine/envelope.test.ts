/** The hand-written envelope, read by the contract's own codecs. */
import { Writer } from '@tuplet/proto';
import { type Call, ExchangeRequest, TakeRequest } from '@tuplet/proto/contract';
import test from 'ava';
import fc from 'fast-check';
import { asking } from '../../test/operations.ts';
import {
  writeAcknowledge,
  writeCall,
  writeCancelTake,
  writeEndCall,
  writeOpenSession,
  writeSessionCall,
} from './envelope.ts';
import { Session } from './session.ts';

function read(write: (writer: Writer) => void): Call {
  const writer = new Writer();
  write(writer);
  const [call] = ExchangeRequest.decode(writer.finish(), 'refuse').calls;
  if (call === undefined) throw new Error('there is no call');
  return call;
}

const id = fc.oneof(fc.nat({ max: 300 }), fc.maxSafeNat());

test('a take is what the contract says, for all numbers and waits', (t) => {
  const property = fc.property(
    id,
    id,
    fc.nat({ max: 100 }),
    fc.oneof(fc.nat({ max: 10_000_000 }), fc.constant(Number.POSITIVE_INFINITY)),
    (callId, sessionId, attempt, waitMs) => {
      const session = new Session({ id: sessionId, leaseMs: 10_000, sentAtMs: 0 }, 3);
      const take = asking('take', 'job', { waitMs });
      session.enter(take);
      take.callId = callId;
      take.attempt = attempt;
      take.waitEndMs = 500 + waitMs;
      const call = read((writer) => writeCall(writer, take, 500));
      const template = take.body.bytes.subarray(2, take.body.templateEnd);
      const finite = Number.isFinite(waitMs);
      t.is(call.callId, callId);
      t.deepEqual(call.request, {
        kind: 'take',
        value: TakeRequest.decode(
          TakeRequest.encode({
            space: { name: 'test' },
            operation: {
              kind: { kind: 'session', value: { sessionId, sequence: 1, attempt, floor: 1 } },
            },
            template,
            wait: finite
              ? { seconds: Math.floor(waitMs / 1_000), nanos: (waitMs % 1_000) * 1_000_000 }
              : null,
          }),
        ),
      });
    },
  );
  fc.assert(property, { numRuns: 300 });
});

test('the other calls are what the contract says', (t) => {
  const session = new Session({ id: 2 ** 52, leaseMs: 10_000, sentAtMs: 0 }, 3);
  const take = asking('take', 'job');
  session.enter(take);
  take.callId = 300;
  take.attempt = 2;
  const cancel = read((writer) => writeCancelTake(writer, take, session)).request;
  t.is(cancel?.kind, 'cancelTake');
  t.like(cancel?.kind === 'cancelTake' ? cancel.value.operation : {}, {
    sessionId: 2 ** 52,
    sequence: 1,
    attempt: 2,
    floor: 1,
  });
  t.deepEqual(read((writer) => writeEndCall(writer, 1, 300)).request, {
    kind: 'endCall',
    value: { callId: 300 },
  });
  t.deepEqual(read((writer) => writeSessionCall(writer, 1, 'keepSession', session)).request, {
    kind: 'keepSession',
    value: { sessionId: 2 ** 52 },
  });
  t.deepEqual(read((writer) => writeSessionCall(writer, 1, 'closeSession', session)).request, {
    kind: 'closeSession',
    value: { sessionId: 2 ** 52 },
  });
  t.deepEqual(
    read((writer) => writeOpenSession(writer, 1, { leaseMs: 1_500, name: 'ü' })).request,
    { kind: 'openSession', value: { lease: { seconds: 1, nanos: 500_000_000 }, name: 'ü' } },
  );
  const receipts = [
    { sequence: 1, tupleId: 2 ** 44 + 1 },
    { sequence: 200, tupleId: 7 },
  ];
  t.deepEqual(read((writer) => writeAcknowledge(writer, 1, session, receipts)).request, {
    kind: 'acknowledge',
    value: { sessionId: 2 ** 52, floor: 1, receipts },
  });
});
