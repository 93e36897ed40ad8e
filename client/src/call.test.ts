import { Status, WriteManyResponse } from '@tuplet/proto/contract';
import test from 'ava';
import { status } from '../test/exchange-codec.ts';
import { writing } from '../test/operations.ts';
import { readOutcomes, type WriteOutcome } from './answers.ts';
import { PlainCall } from './call.ts';

/** What a call is told of two tuples, of which one was written and nobody led the partition of the other. */
async function outcomes(sendings: 'one' | 'two'): Promise<WriteOutcome[]> {
  const { kind, space, body, waitMs, timeoutMs } = writing(['a', 1]);
  const call = new PlainCall({ kind, space, body, waitMs, timeoutMs }, readOutcomes);
  // The connection broke under the first, or it was answered with an outcome that is not known.
  if (sendings === 'two') call.mayHaveActed = true;
  const bytes = WriteManyResponse.encode({
    outcomes: [
      { kind: { kind: 'written', value: { tupleId: 1, partition: 1, revision: 2 } } },
      { kind: { kind: 'error', value: Status.decode(status(14, 'NO_LEADER')) } },
    ],
  });
  call.decode(bytes, 0, bytes.length);
  call.succeed();
  return call.promise;
}

test('a tuple of a write-many that failed is in doubt where an earlier sending may have written it', async (t) => {
  for (const sendings of ['one', 'two'] as const) {
    const [written, failed] = await outcomes(sendings);
    t.is(written?.kind, 'written');
    if (failed?.kind !== 'failed') return t.fail();
    t.is(failed.error.reason, 'NO_LEADER');
    t.is(failed.error.definite, sendings === 'one');
  }
});
