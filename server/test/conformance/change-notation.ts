/** Changes of a configuration as the public cases write them. */
import { type Change, type ChangeStep, StepKind } from '../../src/raft/change.ts';

const letters: Readonly<Record<string, StepKind>> = {
  v: StepKind.voter,
  l: StepKind.learner,
  r: StepKind.remove,
  u: StepKind.update,
};

/** The steps in lines such as `v1 l4 r5 u2`. */
export function parseSteps(lines: readonly string[]): ChangeStep[] {
  const words = lines.join(' ').split(' ');
  return words
    .filter((word) => word !== '')
    .map((word) => {
      const kind = letters[word.slice(0, 1)];
      if (kind === undefined) throw new Error(`unknown step ${word}`);
      return { kind, replica: Number(word.slice(1)) };
    });
}

/** The steps of a change, in that form. */
export function changesText({ steps }: Change): string {
  const letter = (kind: StepKind): string =>
    Object.keys(letters).find((key) => letters[key] === kind) ?? '?';
  return steps.map(({ kind, replica }) => `${letter(kind)}${replica}`).join(' ');
}

/**
 * The reference has two kinds of entries for changes; ours has one. The older one, which takes a single
 * step, is told apart by a context of these bytes.
 */
export const oldChangeContext: Uint8Array = new TextEncoder().encode('v1');

/** What the reference calls the entry of a change. */
export function changeKindName({ context }: Change): string {
  return context.length > 0 ? 'EntryConfChange' : 'EntryConfChangeV2';
}
