import {
  everything,
  jointVote,
  majorityReached,
  majorityVote,
  type VoteResult,
} from '../../src/raft/quorum.ts';
import type { Argument, Directive } from './data-driven.ts';

const resultNames: Readonly<Record<VoteResult, string>> = {
  pending: 'VotePending',
  won: 'VoteWon',
  lost: 'VoteLost',
};

/** Carries out `committed` and `vote`. */
export function runQuorumCase({ command, args }: Directive): string {
  const incoming = valuesOf(args, 'cfg').map(Number);
  const halves = valuesOf(args, 'cfgj');
  const outgoing = halves[0] === 'zero' ? [] : halves.map(Number);
  const voters = [...new Set([...incoming, ...outgoing])];
  const said = valuesOf(args, command === 'vote' ? 'votes' : 'idx');
  const known = new Map(
    voters.map((id, at): [number, string | undefined] => [id, said[at]]).filter(isSaid),
  );
  if (command === 'vote') {
    const results = [voteOf(incoming, known), voteOf(outgoing, known)] as const;
    return resultNames[bothWays(jointVote(...results), jointVote(results[1], results[0]))];
  }
  const first = reachedBy(incoming, known);
  const second = reachedBy(outgoing, known);
  const index = Math.min(first, second);
  return `${chartOf(voters, known)}${index === everything ? '∞' : index}`;
}

function isSaid(entry: [number, string | undefined]): entry is [number, string] {
  return entry[1] !== undefined && entry[1] !== '_';
}

function valuesOf(args: readonly Argument[], key: string): readonly string[] {
  return args.find((arg) => arg.key === key)?.values ?? [];
}

function reachedBy(voters: readonly number[], known: ReadonlyMap<number, string>): number {
  return majorityReached(voters.map((id) => Number(known.get(id) ?? 0)));
}

function voteOf(voters: readonly number[], known: ReadonlyMap<number, string>): VoteResult {
  const granted = voters.filter((id) => known.get(id) === 'y').length;
  const refused = voters.filter((id) => known.get(id) === 'n').length;
  return majorityVote(voters.length, granted, refused);
}

/** Halves may change places. */
function bothWays(one: VoteResult, other: VoteResult): VoteResult {
  if (one !== other) throw new Error(`${one} one way and ${other} the other way`);
  return one;
}

/** The chart of acknowledged indexes: the i-th largest has a bar of i, equal ones have equal bars. */
function chartOf(voters: readonly number[], known: ReadonlyMap<number, string>): string {
  if (voters.length === 0) return '<empty majority quorum>';
  const count = voters.length;
  const index = (id: number): number => Number(known.get(id) ?? 0);
  const byIndex = [...voters].sort((a, b) => index(a) - index(b) || a - b);
  const bars = new Map<number, number>();
  for (const [at, id] of byIndex.entries()) {
    const before = byIndex[at - 1];
    const equal = before !== undefined && index(before) === index(id);
    bars.set(id, equal ? (bars.get(before) ?? 0) : at);
  }
  const rows = [...voters]
    .sort((a, b) => a - b)
    .map((id) => {
      const bar = bars.get(id) ?? 0;
      const drawn = known.has(id) ? `${'x'.repeat(bar)}>` : '?';
      return `${drawn.padEnd(count + 1)} ${String(index(id)).padStart(5)}    (id=${id})\n`;
    });
  return `${' '.repeat(count)}    idx\n${rows.join('')}`;
}
