import { TupletError } from '@tuplet/client';
import { LanguageError } from './language/language.ts';

/** What the command's exit code says; documented in its help. */
export const exitCodes = {
  ok: 0,
  /** The server refused, or something unexpected happened. */
  failed: 1,
  /** The command line cannot be meant. */
  usage: 2,
  /** Nothing matched. */
  nothing: 3,
  /** No server answered, or the outcome is not known: a repetition may help. */
  unavailable: 4,
} as const;

/** The exit code for an error, and what to say of it on standard error. */
export function explain(error: unknown): { readonly code: number; readonly text: string } {
  if (error instanceof LanguageError) return { code: exitCodes.usage, text: error.message };
  if (!(error instanceof TupletError)) {
    return { code: exitCodes.failed, text: error instanceof Error ? error.message : String(error) };
  }
  const text = `${error.reason}: ${error.message}${error.definite ? '' : ' (it may have happened)'}`;
  if (error.code === 'UNAVAILABLE' || error.code === 'DEADLINE_EXCEEDED') {
    return { code: exitCodes.unavailable, text };
  }
  return { code: error.code === 'INVALID_ARGUMENT' ? exitCodes.usage : exitCodes.failed, text };
}
