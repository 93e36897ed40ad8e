/**
 * Writes ten jobs and waits for their results. Run it beside worker.ts:
 *
 *     node client/dist/examples/producer.js [tuplet://localhost:7447]
 */
import { connect, TupletError, t } from '@tuplet/client';

const client = await connect(process.argv[2] ?? 'tuplet://localhost:7447', { name: 'producer' });
try {
  await client.admin.createSpace('jobs').catch((error: unknown) => {
    if (!(error instanceof TupletError && error.reason === 'SPACE_EXISTS')) throw error;
  });
  const jobs = client.space('jobs');
  for (let n = 1; n <= 10; n += 1) await jobs.write(['square', n]);
  for (let n = 1; n <= 10; n += 1) {
    // The type follows from the template: ['squared', number, number].
    const [, , square] = await jobs.take(['squared', n, t.int]);
    process.stdout.write(`${n} squared is ${square}\n`);
  }
} finally {
  await client.close();
}
