import { readFileSync } from 'node:fs';

/** The version of this package. */
export const version: string = readVersion();

function readVersion(): string {
  const file = new URL('package.json', import.meta.resolve('tuplet/package.json'));
  const parsed: unknown = JSON.parse(readFileSync(file, 'utf8'));
  const found = (parsed as { readonly version?: unknown }).version;
  return typeof found === 'string' ? found : '0.0.0';
}
