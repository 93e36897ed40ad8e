import test from 'ava';
import fc from 'fast-check';
import { everything, jointVote, majorityReached, majorityVote } from './quorum.ts';

const reached = fc.array(fc.nat(20), { minLength: 1, maxLength: 9 });

test('what a majority has reached is the highest that more than half have', (t) => {
  fc.assert(
    fc.property(reached, (values) => {
      const index = majorityReached([...values]);
      const atLeast = (low: number): number => values.filter((value) => value >= low).length;
      t.true(atLeast(index) * 2 > values.length);
      t.false(atLeast(index + 1) * 2 > values.length);
    }),
  );
});

test('nobody has reached everything', (t) => {
  t.is(majorityReached([]), everything);
  t.is(majorityVote(0, 0, 0), 'won');
});

test('a vote is decided exactly when no further answer can change it', (t) => {
  fc.assert(
    fc.property(fc.nat(9), fc.nat(9), fc.nat(9), (granted, refused, open) => {
      const voters = granted + refused + open;
      fc.pre(voters > 0);
      const outcome = (yes: number): boolean => yes * 2 > voters;
      const best = outcome(granted + open);
      const worst = outcome(granted);
      const expected = best === worst ? (best ? 'won' : 'lost') : 'pending';
      t.is(majorityVote(voters, granted, refused), expected);
    }),
  );
});

test('both halves win a joint vote, and either loses it', (t) => {
  t.is(jointVote('won', 'won'), 'won');
  t.is(jointVote('won', 'pending'), 'pending');
  t.is(jointVote('pending', 'lost'), 'lost');
  t.is(jointVote('lost', 'won'), 'lost');
});
