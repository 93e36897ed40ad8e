/** `npm run docs`: writes the generated pages of docs/reference. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { repositoryRoot } from '../repository.ts';
import { generatedPages } from './pages.ts';

for (const { path, text } of generatedPages()) {
  writeFileSync(join(repositoryRoot, path), text);
  process.stdout.write(`${path}\n`);
}
