/** Deliberate bugs of partitions with several replicas, which one node cannot show. See table.ts. */
import type { Edit, Mutant } from './table.ts';

const group = 'server/dist/src/partition/group.js';
const partitionGroup = 'server/dist/src/partition/partition-group.js';
const replica = 'server/dist/src/partition/replica.js';
const host = 'server/dist/src/partition/partition-host.js';
const loop = 'server/dist/src/partition/turn-loop.js';
const installer = 'server/dist/src/partition/snapshot-installer.js';
const offers = 'server/dist/src/coordination/offers.js';
const taking = 'server/dist/src/router/taking.js';

function several(name: string, ...edits: readonly Edit[]): Mutant {
  return { world: 'partition', name, edits };
}

function one(name: string, file: string, find: string, replace: string): Mutant {
  return several(name, { file, find, replace });
}

/** All of them. */
export const partitionMutants: readonly Mutant[] = [
  // I5, where others have applied more than the leader.
  several(
    'looks for tuples while others have applied more',
    {
      file: partitionGroup,
      find: 'return this.takesWork && !this.#isBehind && !this.#pipelineFull();',
      replace: 'return this.takesWork && !this.#pipelineFull();',
    },
    {
      file: partitionGroup,
      find: '!this.takesWork || this.#isBehind)',
      replace: '!this.takesWork)',
    },
  ),
  // L1.
  several(
    'leader serves before its log is applied',
    {
      file: group,
      find: 'if (leadership === undefined || this.appliedIndex < leadership.leadIndex)',
      replace: 'if (leadership === undefined)',
    },
    {
      file: group,
      find: 'leadership.leadIndex = this.propose(this.leadCommand, nowMs);',
      replace:
        'leadership.leadIndex = this.propose(this.leadCommand, nowMs);\n        this.beginServing(nowMs);',
    },
    { file: group, find: 'if (index === this.#leadership?.leadIndex)', replace: 'if (false)' },
  ),
  // L3.
  one(
    'deposed leader says empty',
    replica,
    'if (this.#raft.confirmsAlone) {',
    'if (this.leads || this.#raft.confirmsAlone) {',
  ),
  // W5: only the leadership that made an offer may log its acceptance. Here whatever is offered now is handed: that
  // two leaderships give an operation offers of the same number was not seen in 400 seeds (a unit test sees that).
  one(
    "new leader carries out an old epoch's ACCEPT",
    offers,
    'epoch === this.#context.epoch &&\n            offer === waiter.offer',
    '(epoch === this.#context.epoch ? offer === waiter.offer : waiter.tuples.length > 0)',
  ),
  // A leader keeps its proposals decoded; only entries of its own leadership are those.
  one(
    'what a lost leadership proposed is taken for what another logged',
    group,
    'this.#proposals.clear();',
    '',
  ),
  // C3, C5: what was sent on a link that broke is sent again, to the same leadership too.
  one(
    'a take is lost with the link that it was sent on',
    taking,
    'this.#leadership(partition, undefined);',
    '',
  ),
  one(
    'term and vote reach the disk with the commit index, seconds later',
    replica,
    'this.takeUnwritten(batch);',
    '',
  ),
  one(
    'ticks before roles are settled',
    loop,
    'this.#settleRoles(nowMs);\n        if (this.#drained',
    'if (this.#drained',
  ),
  one(
    "stamp from the leader's own clock",
    group,
    'const clocks = this.#votesTerm === term ? [...this.#voterClocks.values()] : [];',
    'const clocks = [];',
  ),
  one(
    'stamp from the highest clock of the votes',
    group,
    'clocks[(clocks.length - 1) >> 1]',
    'clocks[clocks.length - 1]',
  ),
  one(
    'entries trimmed that a learner lacks, and no snapshot for it',
    replica,
    'return this.#storage.isSnapshotWanted;',
    'return false;',
  ),
  one(
    'no ticks for a leader that alone votes',
    replica,
    'this.#isAlone && this.#confirmations.size === 0',
    'this.#raft.confirmsAlone && this.#confirmations.size === 0',
  ),
  one(
    'installed snapshot leaves the old state',
    installer,
    "assert(state instanceof Space, 'a partition has a space');\n            group.replaceState(state, past);",
    "assert(state instanceof Space, 'a partition has a space');",
  ),
  one(
    'removed replica comes back at the next start',
    host,
    'await this.#storage.bury(partition, replica);',
    '',
  ),
  one(
    'removed replica comes back with the log of the one before',
    host,
    'this.#recovered.forget(partition);',
    '',
  ),
];
