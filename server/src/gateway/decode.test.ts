import { encodeTemplate } from '@tuplet/proto';
import { ExchangeRequest } from '@tuplet/proto/contract';
import test from 'ava';
import { plainBytes, requestOf } from './decode.ts';

test('what is kept of a message is a copy, and keeps neither the message nor its slab', (t) => {
  const template = encodeTemplate([{ matchers: [{ kind: 'actual', value: 'job' }] }]);
  const operation = { sessionId: 1, sequence: 1, attempt: 1, floor: 1 };
  const encoded = ExchangeRequest.encode({
    calls: [
      {
        callId: 1,
        request: {
          kind: 'take',
          value: {
            space: { name: 'default' },
            operation: { kind: { kind: 'session', value: operation } },
            template,
          },
        },
      },
    ],
  });
  // As grpc-js hands it out: a part of a larger slab, and a Buffer, whose `slice` is a view.
  const slab = Buffer.alloc(65_536);
  slab.set(encoded, 1_000);
  const message = slab.subarray(1_000, 1_000 + encoded.length);
  const [call] = ExchangeRequest.decode(plainBytes(message), 'refuse').calls;
  if (call?.request?.kind !== 'take') throw new Error('the take is there');
  const request = requestOf(call.request);
  if (request.kind !== 'take') throw new Error('the take is asked for');
  const kept = request.template.slice();
  t.deepEqual(kept, template);
  t.not(kept.buffer, slab.buffer);
  t.is(kept.buffer.byteLength, template.length);
});
