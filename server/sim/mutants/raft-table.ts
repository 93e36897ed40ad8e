/** Deliberate bugs of the Raft core, and of what its host promises. See table.ts. */
import type { RaftProfile } from '../raft/settings.ts';
import type { Edit, Mutant } from './table.ts';

const election = 'server/dist/src/raft/election.js';
const lease = 'server/dist/src/raft/lease.js';
const log = 'server/dist/src/raft/log.js';
const membership = 'server/dist/src/raft/membership.js';
const progress = 'server/dist/src/raft/progress.js';
const node = 'server/dist/src/raft/raft-node.js';
const readIndex = 'server/dist/src/raft/read-index.js';
const reads = 'server/dist/src/raft/reads.js';
const replication = 'server/dist/src/raft/replication.js';
const state = 'server/dist/src/raft/state.js';
const step = 'server/dist/src/raft/step.js';
const tracker = 'server/dist/src/raft/tracker.js';
const host = 'server/dist/sim/raft/replica.js';

function several(name: string, edits: readonly Edit[], profile?: RaftProfile): Mutant {
  return { world: 'raft', name, edits, ...(profile === undefined ? {} : { profile }) };
}

function one(
  name: string,
  file: string,
  find: string,
  replace: string,
  profile?: RaftProfile,
): Mutant {
  return several(name, [{ file, find, replace }], profile);
}

const elections: readonly Mutant[] = [
  one(
    'two votes in a term',
    election,
    '(raft.vote === noReplica && raft.lead === noReplica)',
    'raft.role === Role.follower',
  ),
  one(
    'vote not durable before the answer',
    state,
    'kind === MessageKind.voteAnswer ||',
    '(kind === MessageKind.voteAnswer && message.to === this.id) ||',
  ),
  one(
    'leads before its own vote is durable',
    election,
    'raft.self()?.ballot === Ballot.granted',
    'true',
    'crashes',
  ),
  one(
    'duplicate vote counted',
    tracker,
    'const member = this.find(id);\n        if (member === undefined || member.ballot !== Ballot.none)',
    'const voter = this.find(id);\n        const member = voter?.ballot === Ballot.none ? voter : this.#incoming.find(({ ballot }) => ballot === Ballot.none);\n        if (member === undefined)',
  ),
  one('no pre-vote', election, 'if (raft.options.preVote && !forced)', 'if (false)'),
  one(
    'pre-vote stuck with check-quorum: a leader of an earlier term is not answered',
    step,
    'raft.send(new Message(MessageKind.appendAnswer, raft.id, from, raft.term));',
    '',
  ),
  one(
    'answer of an earlier life accepted: a vote',
    election,
    'if (message.context !== raft.life)\n        return;',
    '',
    'crashes',
  ),
  one(
    'late consent to an earlier pre-vote counted',
    step,
    'if (message.reject || message.term > raft.term)',
    'if (true)',
  ),
  one(
    'a shorter log is voted for',
    log,
    '(lastTerm === term && lastIndex >= this.lastIndex())',
    'lastTerm === term',
  ),
  one(
    'campaigning with unapplied configuration',
    election,
    "if (raft.log.hasUnappliedChange())\n        return 'change-unapplied';",
    '',
    'membership',
  ),
  one(
    'who lost its leader forgets its vote',
    node,
    'this.#raft.lead = noReplica;',
    'this.#raft.lead = noReplica;\n        this.#raft.vote = noReplica;',
    'crashes',
  ),
  one(
    'nobody keeps to a leader that another one lost',
    election,
    'raft.options.checkQuorum &&',
    'false &&',
  ),
  one(
    'an election in a joint configuration counts one half',
    tracker,
    'return jointVote(voteOf(this.#incoming), voteOf(this.#outgoing));',
    'return voteOf(this.#incoming);',
    'membership',
  ),
];

const entries: readonly Mutant[] = [
  one(
    'commit a prior term by counting',
    log,
    'if (index <= this.committed || this.term(index) !== term)',
    'if (index <= this.committed)',
    'crashes',
  ),
  one(
    'previous term not compared',
    log,
    'if (!this.matches(previous, previousTerm))',
    'if (previous > this.lastIndex())',
  ),
  one(
    'acknowledging beyond fsync',
    state,
    'if (kind === MessageKind.appendAnswer ||',
    'if ((kind === MessageKind.appendAnswer && (message.to === this.id || message.reject)) ||',
  ),
  one(
    'empty appends acknowledged beyond fsync',
    replication,
    'answer.index = last;\n        raft.send(answer);',
    'answer.index = last;\n        if (message.entries.length === 0)\n            raft.messages.push(answer);\n        else\n            raft.send(answer);',
  ),
  one(
    'a leader counts its own entries before its fsync',
    replication,
    'acknowledgeOwn(raft);\n    return true;',
    'acknowledgeOwn(raft);\n    raft.self()?.maybeUpdate(raft.log.lastIndex());\n    return true;',
  ),
  one(
    'stale completion marks newer entries stable',
    node,
    'for (const response of work.responses) {\n            if (response.to === raft.id)',
    'for (const response of [work, ...this.#appends].flatMap((each) => each.responses)) {\n            if (response.to === raft.id)',
  ),
  one(
    'applied before it is durable here',
    log,
    'return allowUnstable ? this.committed : Math.min(this.committed, this.unstable.offset - 1);',
    'return this.committed;',
  ),
  one(
    'a heartbeat tells a commit index beyond the match',
    replication,
    'message.commit = Math.min(member.match, log.committed);',
    'message.commit = log.committed;',
  ),
  one(
    'an old append cuts off what a newer one brought',
    log,
    'if (this.matches(entry.index, entry.term))\n                continue;',
    '',
  ),
  one('next <= match', progress, 'this.next = Math.max(this.next, index + 1);', ''),
  one(
    'previous index compacted taken for conflict',
    replication,
    'if (message.index < log.committed) {',
    'if (false) {',
    'snapshots',
  ),
  one(
    'a lost append is waited for',
    replication,
    'from.active = true;\n    from.paused = false;',
    'from.active = true;',
  ),
  one(
    'unbounded uncommitted log',
    replication,
    'if (crowded && bytes > 0)\n        return false;',
    '',
  ),
  one(
    'proposals during transfer',
    membership,
    'if (raft.transferTarget !== noReplica)\n        return transferring;',
    '',
  ),
];

const snapshots: readonly Mutant[] = [
  one(
    'snapshot behind applied',
    membership,
    'if (snapshot.index <= log.committed)\n        return false;',
    '',
    'snapshots',
  ),
  one(
    'log not reset on snapshot: what is not durable',
    'server/dist/src/raft/unstable.js',
    'this.#entries = [];\n        this.snapshot = snapshot;',
    'this.snapshot = snapshot;',
    'snapshots',
  ),
  one(
    'log not reset on snapshot: what is durable',
    'server/dist/src/raft/memory-storage.js',
    'this.#baseTerm = snapshot.term;\n        this.#entries = [];',
    'this.#baseTerm = snapshot.term;',
    'snapshots',
  ),
  one(
    "a snapshot's configuration is not put into force",
    membership,
    'useConfiguration(raft, snapshot.configuration, snapshot.index);',
    '',
    'snapshots',
  ),
  one(
    'compaction past applied',
    host,
    'const index = this.appliedIndex;\n        if (this.#cutting',
    'const index = Math.max(this.appliedIndex, Math.min(this.durablyCommitted, this.storage.lastIndex()));\n        if (this.#cutting',
    'snapshots',
  ),
];

const changes: readonly Mutant[] = [
  one(
    'a change is logged before the one before it is applied',
    membership,
    'if (raft.pendingChangeIndex > raft.log.applied)',
    'if (false)',
  ),
  one(
    'a new leader does not look for changes in its log',
    election,
    'raft.pendingChangeIndex = raft.log.lastIndex();',
    'raft.pendingChangeIndex = 0;',
    'membership',
  ),
  one(
    'configuration in force before it is applied',
    membership,
    'noteLeaving(raft, entry);',
    "noteLeaving(raft, entry);\n        const early = applyChange(raft.tracker.configuration, decodeChange(payload));\n        if (early.kind === 'changed')\n            raft.tracker.use(early.configuration, raft.log.lastIndex());",
    'membership',
  ),
  several(
    'two-step replacement: a simple change of two voters',
    [
      {
        file: 'server/dist/src/raft/change.js',
        find: "if (movedVoters(from.voters, draft.voters) > 1)\n        return refused('more than one voter');",
        replace: '',
      },
      {
        file: 'server/dist/src/raft/change.js',
        find: 'return transition !== Transition.auto || steps.length > 1;',
        replace: 'return transition !== Transition.auto;',
      },
    ],
    'membership',
  ),
  one(
    'a joint configuration commits with one half',
    tracker,
    'return this.#outgoing.length === 0',
    'return true',
    'membership',
  ),
  several('learners are counted', [
    {
      file: tracker,
      find: 'this.#incoming = members.filter(({ id }) => configuration.voters.includes(id));',
      replace:
        'this.#incoming = members.filter(({ id, learner }) => learner || configuration.voters.includes(id));',
    },
    {
      file: tracker,
      find: "assert(this.#incoming.length === configuration.voters.length, 'each voter is tracked');",
      replace: '',
    },
  ]),
  several(
    // That it logs nothing once it is to leave is the first wall.
    'leader counts itself after removal',
    [
      {
        file: 'server/dist/src/raft/leaving.js',
        find: 'return raft.leavesAtIndex > raft.log.applied;',
        replace: 'return false;',
      },
      {
        file: replication,
        find: 'return raft.log.maybeCommit(raft.tracker.committedIndex(), raft.term);',
        replace:
          'const matches = raft.tracker.members.filter(({ learner }) => !learner).map(({ match }) => match);\n    const needed = Math.floor(matches.length / 2) + 1;\n    if (raft.self() !== undefined || matches.length === 0)\n        return raft.log.maybeCommit(raft.tracker.committedIndex(), raft.term);\n    matches.push(raft.log.unstable.offset - 1);\n    matches.sort((left, right) => right - left);\n    return raft.log.maybeCommit(matches[needed - 1], raft.term);',
      },
    ],
    'membership',
  ),
  one(
    'a leader that has left takes proposals',
    membership,
    'if (self === undefined || self.learner || isLeaving(raft))',
    'if (false)',
    'membership',
  ),
  one(
    'what a vote tells to be committed is believed of any entry',
    election,
    'if (!log.matches(commit, commitTerm))',
    'if (commit > log.lastIndex())',
    'crashes',
  ),
  one(
    'nobody hears from a refusal that another was removed',
    step,
    'if (message.commitTerm > 0)',
    'if (false)',
    'membership',
  ),
  one(
    'replica id reused',
    'server/dist/sim/raft/group.js',
    'const replica = new RaftReplica(this.#nextId, start, this.#around);\n        this.#nextId += 1;',
    'const old = [...this.removedAt.keys()].find((id) => this.find(id) === undefined);\n        if (old !== undefined)\n            this.removedAt.delete(old);\n        const replica = new RaftReplica(old ?? this.#nextId, start, this.#around);\n        if (old === undefined)\n            this.#nextId += 1;',
    'membership',
  ),
];

const readers: readonly Mutant[] = [
  one(
    'ReadIndex before own-term commit',
    state,
    'return this.log.matches(this.log.committed, this.term);',
    'return true;',
  ),
  one(
    'reused read context: the answer to the round before counts',
    readIndex,
    'this.#batches.push({ round: this.#round, index, reads: this.#waiting });',
    'this.#batches.push({ round: this.#round - 1, index, reads: this.#waiting });',
  ),
  one(
    'answer of an earlier life accepted: a read',
    state,
    'this.nextReadNumber = drawNumber(options.random);',
    'this.nextReadNumber = 1;',
    'leases',
  ),
  one(
    'a read is answered without asking anybody',
    reads,
    'return raft.lease?.isValid() === true;',
    'return true;',
  ),
  one('lease kept during transfer', replication, 'raft.lease?.void();', '', 'leases'),
  one(
    'restarted voter forgets a lease',
    lease,
    'this.#promisedUntilMs = nowMs + electionMs;',
    'this.#promisedUntilMs = nowMs;',
    'leases',
  ),
  several(
    'a connection that broke ends a promise',
    [
      {
        file: lease,
        find: 'isPromised() {',
        replace:
          'unsay() {\n        this.#promisedUntilMs = this.#nowMs;\n    }\n    isPromised() {',
      },
      {
        file: node,
        find: 'this.#raft.lease !== null)\n            return;',
        replace: 'false)\n            return;\n        this.#raft.lease?.unsay();',
      },
    ],
    'leases',
  ),
  one(
    'a lease counts from the answer',
    reads,
    'raft.lease?.extend(sentMs);',
    'raft.lease?.extend(raft.lease.nowMs);',
    'leases',
  ),
];

const ticks: readonly Mutant[] = [
  one(
    'ticker blocked by disk',
    host,
    'this.#turn((node) => node.tick());',
    'if (!this.isWriting)\n            this.#turn((node) => node.tick());',
  ),
  one(
    'ticks caught up in a burst',
    host,
    'this.#turn((node) => node.tick());',
    'const { nowUs } = this.#around.scheduler;\n        const periodUs = (tickMs * 1_000) / this.#rate;\n        const due = Math.max(1, Math.round((nowUs - (this.lastTickUs ?? nowUs)) / periodUs));\n        this.lastTickUs = nowUs;\n        this.#turn((node) => {\n            for (let at = 0; at < due; at += 1)\n                node.tick();\n        });',
  ),
];

/** All of them. */
export const raftMutants: readonly Mutant[] = [
  ...elections,
  ...entries,
  ...snapshots,
  ...changes,
  ...readers,
  ...ticks,
];
