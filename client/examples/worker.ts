/**
 * Takes jobs and writes their results, until it is interrupted. Start as many as you like:
 *
 *     node client/dist/examples/worker.js [tuplet://localhost:7447]
 */
import { connect, TupletError, t } from '@tuplet/client';

const stop = new AbortController();
process.once('SIGINT', () => stop.abort());
process.once('SIGTERM', () => stop.abort());

const client = await connect(process.argv[2] ?? 'tuplet://localhost:7447', { name: 'worker' });
try {
  const jobs = client.space('jobs');
  for (;;) {
    const [, n] = await jobs.take(['square', t.int], { signal: stop.signal });
    await jobs.write(['squared', n, n * n]);
  }
} catch (error) {
  if (!(error instanceof TupletError && error.reason === 'CANCELLED')) throw error;
} finally {
  await client.close();
}
