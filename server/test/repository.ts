import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The checkout's top folder; tests run from server/dist/test. */
export const repositoryRoot: string = join(
  dirname(fileURLToPath(import.meta.url)),
  '..',
  '..',
  '..',
);
