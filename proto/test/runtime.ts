import { readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import protobuf from 'protobufjs';

/** The package's folder: tests run from dist/test and dist/src. */
export const home: string = join(dirname(fileURLToPath(import.meta.url)), '../..');

/** The contract as the protobufjs runtime reads it from the .proto files: the other implementation. */
export const runtime: protobuf.Root = new protobuf.Root();
runtime.resolvePath = (_origin, path) =>
  path.startsWith('google/protobuf/') ? path : join(home, path.replace(`${home}/`, ''));
runtime.loadSync(
  ['tuplet/v1', 'google/rpc'].flatMap((folder) =>
    readdirSync(join(home, folder))
      .filter((name) => name.endsWith('.proto'))
      .map((name) => `${folder}/${name}`),
  ),
);
runtime.resolveAll();

/** Reproducible numbers in 0..1 (mulberry32). */
export function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b_79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
