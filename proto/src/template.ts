import type { Run } from './bytes.ts';
import type { RangeFamily } from './template-spec.ts';
import type { Kind } from './value.ts';

/**
 * A matcher in the form that looks at stored bytes. Values stay where they are in the template's
 * bytes, so that a waiting template costs little more than its encoding.
 */
export type CompiledMatcher =
  | { readonly kind: 'any' }
  | { readonly kind: 'formal'; readonly formal: Kind }
  | { readonly kind: 'actual'; readonly value: Run }
  | {
      readonly kind: 'number-range';
      readonly family: RangeFamily;
      readonly lower: number | bigint;
      readonly lowerExclusive: boolean;
      readonly upper: number | bigint;
      readonly upperExclusive: boolean;
    }
  | {
      readonly kind: 'octet-range';
      /** The stored tag that a value must have: string, bytes or timestamp. */
      readonly tag: number;
      /** Canonical stored values. */
      readonly lower: Run | null;
      readonly lowerExclusive: boolean;
      readonly upper: Run | null;
      readonly upperExclusive: boolean;
    }
  | { readonly kind: 'prefix'; readonly tag: number; readonly prefix: Run }
  | { readonly kind: 'any-of'; readonly keys: readonly Uint8Array[]; readonly only: Run | null }
  | { readonly kind: 'negation'; readonly matcher: CompiledMatcher }
  | { readonly kind: 'list'; readonly pattern: CompiledPattern }
  | { readonly kind: 'record'; readonly entries: readonly CompiledEntry[] };

/** What a record must have under one key. */
export interface CompiledEntry {
  /** The key's UTF-8 bytes. Entries are in the order of these. */
  readonly key: Run;
  readonly matcher: CompiledMatcher;
}

/** One alternative of a template, or the pattern of a list. */
export interface CompiledPattern {
  /** One matcher a position, from 0. */
  readonly matchers: readonly CompiledMatcher[];
  /** Whether more fields may follow. */
  readonly rest: boolean;
}

/**
 * A template that was held to every limit and can be matched. It keeps a view of its bytes, and is the
 * run of them: so it can be sent on.
 */
export class Template implements Run {
  readonly bytes: Uint8Array;
  readonly start: number;
  readonly end: number;
  /** 1 to 8. A tuple matches if one of them matches it. */
  readonly alternatives: readonly CompiledPattern[];
  /**
   * For who holds one tuple against many templates that may be the same object: the number of the last
   * tuple that this one did not match. The codecs do not look at it.
   */
  missed = 0;
  constructor({ bytes, start, end }: Run, alternatives: readonly CompiledPattern[]) {
    this.bytes = bytes;
    this.start = start;
    this.end = end;
    this.alternatives = alternatives;
  }
}
