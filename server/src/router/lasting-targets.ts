import { equalBytes, hash32, type Run } from '@tuplet/proto';
import type { SpaceId } from '../base/ids.ts';
import { keptBytesMax, lastingTargetsMax } from '../base/limits.ts';
import type { Target } from './routing.ts';

interface Known {
  readonly space: SpaceId;
  readonly source: Run;
  readonly target: Target;
}

/**
 * The targets of calls that waited lately, by the bytes of their templates. Workers of one pool wait
 * with one template over and over: they share one object, which is compiled once, and which a tuple is
 * held against once for all of them. Each bucket remembers the last that fell into it.
 */
export class LastingTargets {
  readonly #known: Map<number, Known> = new Map();

  /** The target of the very same template; undefined: it is not remembered. */
  get(space: SpaceId, template: Uint8Array): Target | undefined {
    const known = this.#known.get(bucketOf(template));
    if (known === undefined || known.space !== space) return undefined;
    const { bytes, start, end } = known.source;
    const isSame = equalBytes(bytes, start, end, template, 0, template.length);
    return isSame ? known.target : undefined;
  }

  /** Remembers a small one; `source` is kept. */
  set(space: SpaceId, source: Run, target: Target): void {
    if (source.end - source.start > keptBytesMax) return;
    const bucket = bucketOf(source.bytes.subarray(source.start, source.end));
    this.#known.set(bucket, { space, source, target });
  }
}

function bucketOf(template: Uint8Array): number {
  return hash32(template) % lastingTargetsMax;
}
