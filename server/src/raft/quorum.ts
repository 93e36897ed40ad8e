/**
 * What majorities have agreed on. A joint configuration has two, and both must agree (Ongaro 2014
 * §4.3). An empty half agrees to everything, so that one rule serves joint and plain configurations.
 */

/** What an empty half has acknowledged. */
export const everything: number = Number.POSITIVE_INFINITY;

export type VoteResult = 'pending' | 'won' | 'lost';

/** How many of so many voters decide. */
export function majority(voters: number): number {
  return Math.floor(voters / 2) + 1;
}

/**
 * The highest number that a majority has reached, given what each voter has: its acknowledged index,
 * say. Sorts `reached` in place.
 */
export function majorityReached(reached: number[]): number {
  const count = reached.length;
  if (count === 0) return everything;
  // Insertion sort: there are hardly ever more than seven, and nothing is allocated.
  for (let at = 1; at < count; at += 1) {
    const value = reached[at] as number;
    let to = at - 1;
    for (; to >= 0 && (reached[to] as number) > value; to -= 1)
      reached[to + 1] = reached[to] as number;
    reached[to + 1] = value;
  }
  return reached[count - majority(count)] as number;
}

/** The outcome of a vote among `voters`, of whom so many have granted and refused. */
export function majorityVote(voters: number, granted: number, refused: number): VoteResult {
  if (voters === 0) return 'won';
  const needed = majority(voters);
  if (granted >= needed) return 'won';
  return voters - refused < needed ? 'lost' : 'pending';
}

/** Both halves must win; either can lose. */
export function jointVote(incoming: VoteResult, outgoing: VoteResult): VoteResult {
  if (incoming === 'lost' || outgoing === 'lost') return 'lost';
  return incoming === 'won' && outgoing === 'won' ? 'won' : 'pending';
}
