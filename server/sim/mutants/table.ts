/**
 * Deliberate bugs. Each is a piece of the built code (so: JavaScript, without types) that must be
 * found exactly once in a file, and what stands there instead. They live here and never in the
 * product; a mutant that no longer applies fails the run.
 */

/** One bug. */
export interface Mutant {
  /** What is wrong; where PROTOCOL §10 lists it, in its words. */
  readonly name: string;
  /** Relative to the repository: in a package's dist. */
  readonly file: string;
  readonly find: string;
  readonly replace: string;
  /** Where to begin; 1 unless the seeds before are known to miss it. */
  readonly seed?: number;
}

/** All of them. */
export const mutants: readonly Mutant[] = [];
