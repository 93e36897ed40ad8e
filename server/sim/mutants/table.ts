/**
 * Deliberate bugs. Each is a piece of the built code (so: JavaScript, without types) that must be
 * found exactly once in a file, and what stands there instead. They live here and never in the
 * product; a mutant that no longer applies fails the run.
 */

import type { RaftProfile } from '../raft/settings.ts';
import type { Profile } from '../settings.ts';
import type { WorldName } from '../worlds.ts';

/** One place that a bug changes. */
export interface Edit {
  /** Relative to the repository: in a package's dist. */
  readonly file: string;
  readonly find: string;
  readonly replace: string;
}

/** One bug. */
export interface Mutant {
  /** Where it is looked for; undefined: `node`. */
  readonly world?: WorldName;
  /** What is wrong; where PROTOCOL §10 lists it, in its words. */
  readonly name: string;
  /** Several where one wall stands behind another. */
  readonly edits: readonly Edit[];
  /** The profile that dwells on what it breaks; undefined: what each seed draws. */
  readonly profile?: Profile | RaftProfile;
  /** Seeds within which it must be killed; undefined: `seedsMax` of run.ts. */
  readonly seeds?: number;
}

const apply = 'server/dist/src/space/apply.js';
const sessions = 'server/dist/src/space/sessions.js';
const snapshot = 'server/dist/src/space/snapshot.js';
const space = 'server/dist/src/space/space.js';
const coordinator = 'server/dist/src/coordination/take-coordinator.js';
const offers = 'server/dist/src/coordination/offers.js';
const line = 'server/dist/src/coordination/line.js';
const leader = 'server/dist/src/coordination/leader.js';
const pinned = 'server/dist/src/coordination/pinned-takes.js';
const home = 'server/dist/src/coordination/session-home.js';
const writes = 'server/dist/src/coordination/writes.js';
const replaces = 'server/dist/src/coordination/replaces.js';
const reads = 'server/dist/src/coordination/reads.js';
const search = 'server/dist/src/coordination/search.js';
const sends = 'server/dist/src/coordination/newest-sends.js';
const expiry = 'server/dist/src/coordination/expiry.js';
const log = 'server/dist/src/storage/log.js';
const notify = 'server/dist/src/router/notify.js';
const clientOutcomes = 'client/dist/src/engine/outcomes.js';
const clientSender = 'client/dist/src/engine/sender.js';

function one(name: string, file: string, find: string, replace: string, profile?: Profile): Mutant {
  return { name, edits: [{ file, find, replace }], ...(profile === undefined ? {} : { profile }) };
}

const fences: readonly Mutant[] = [
  one(
    'no fence',
    coordinator,
    "this.#state = operation.attempt > 1 ? 'fencing' : 'waiting';",
    "this.#state = 'waiting';",
    'contended',
  ),
  one(
    'register after the first FENCED_OK only',
    coordinator,
    'if (this.#without(fenced).length > 0)\n            return;',
    '',
    'contended',
  ),
  one(
    'fence not looked at when applied',
    sessions,
    "return operation.attempt < fence ? 'fenced' : 'ok';",
    "return 'ok';",
    'contended',
  ),
  one(
    'fence in memory only: not in snapshots',
    snapshot,
    'return { sequence, fence, change, handed: record.handed',
    'return { sequence, fence: 0, change, handed: record.handed',
    'snapshots',
  ),
  one(
    'FENCE hides an earlier result',
    apply,
    "return result === undefined ? { kind: 'fenced' } :",
    "return result === undefined || true ? { kind: 'fenced' } :",
    'contended',
  ),
  {
    // The second wall is the leader's memory of the newest sending, which no entry needs.
    name: 'receipt drops the fence',
    profile: 'pinned',
    edits: [
      {
        file: sessions,
        find: 'if (record.handed.length === 0 && record.fence === 0)',
        replace: 'if (record.handed.length === 0)',
      },
      {
        file: sends,
        find: "return 'outdated';",
        replace: "return 'new';",
      },
      {
        file: sends,
        find: 'newest.attempt === attempt && newest.m === m;',
        replace: '(newest.attempt > attempt || newest.m === m);',
      },
    ],
  },
  one(
    'same attempt number twice',
    clientSender,
    'operation.attempt += 1;',
    'operation.attempt = Math.max(1, operation.attempt);',
  ),
  one(
    'pinned retry unfenced',
    pinned,
    'if (attempt > 1 && space.fenceOf(session, sequence) < attempt) {',
    'if (false) {',
  ),
];

const acceptance: readonly Mutant[] = [
  one(
    'two acceptances in flight',
    coordinator,
    "if (this.#state === 'waiting') {\n            this.#state = 'accepting';",
    "if (this.#state === 'waiting' || this.#state === 'accepting') {\n            this.#state = 'accepting';",
  ),
  one(
    'ACCEPT not tied to its offer',
    offers,
    'epoch === this.#context.epoch &&\n            offer === waiter.offer;',
    'epoch === this.#context.epoch;',
    'contended',
  ),
  one(
    'a hand-over of a tuple that is not visible',
    apply,
    "if (row === noRow || !state.tuples.rows.visible(row, state.stampMs))\n            return { kind: 'miss' };\n        rows.push(row);",
    "if (row === noRow)\n            return { kind: 'miss' };\n        rows.push(row);",
    'contended',
  ),
];

const cancelling: readonly Mutant[] = [
  one(
    '"cancelled" while accepting',
    coordinator,
    "if (this.#state !== 'waiting')\n            return this.#state === 'finished';",
    "if (this.#state !== 'waiting' && !(this.#isCancelled && this.#state === 'accepting'))\n            return this.#state === 'finished';",
    'contended',
  ),
  one(
    'cancel through another gateway without fences',
    coordinator,
    "if (this.#state !== 'waiting')\n            return this.#state === 'finished';",
    "if (this.#state !== 'waiting' && !(this.#isCancelled && this.#state === 'fencing'))\n            return this.#state === 'finished';",
    'contended',
  ),
];

const waiting: readonly Mutant[] = [
  one(
    'no register after MISS',
    coordinator,
    'if (this.#is(i, marked))\n                this.#sendOpen(i);',
    ';',
    'contended',
  ),
  one('what becomes ready wakes no take', leader, 'this.#fresh.push(space.idOf(row));', ';'),
  one(
    'what becomes ready wakes no read',
    leader,
    "this.#reads.arrived(row, 'ready', bytes, this.#offsets);",
    '',
  ),
  one(
    'the last waiter first',
    pinned,
    'arrivalMs: Math.floor(this.#context.nowMs - (query.waitedMs ?? 0)),',
    'arrivalMs: -this.#context.nowMs,',
    'pinned',
  ),
];

const sessionEnds: readonly Mutant[] = [
  one(
    'nothing given back at the end of a session',
    sessions,
    'if (handed.length > 0)\n                    returned.push(handed);',
    '',
    'sessions',
  ),
  one(
    'end of a session not looked at',
    sessions,
    "return this.#ended.has(operation.session) ? 'ended' : 'unknown-session';",
    "return 'ok';",
    'sessions',
  ),
  one(
    'a touched partition is not remembered',
    sessions,
    'home.touched.add(partition);',
    '',
    'sessions',
  ),
  one(
    'an end is not delivered after a restart',
    home,
    'else\n                this.#deliver(session);',
    '',
  ),
  one(
    'home ends too early',
    home,
    'const { leaseMs } = home;\n        this.#leases.set(session, this.#overMs(leaseMs));',
    'const { leaseMs } = home;\n        this.#leases.set(session, this.#overMs(leaseMs / 4));',
    'sessions',
  ),
  one(
    'a new leader gives no full lease',
    home,
    "if (state === 'open')\n                this.#leases.set(session, this.#overMs(leaseMs));",
    "if (state === 'open')\n                this.#leases.set(session, this.#context.nowMs + 1);",
  ),
  one(
    'client hands out after giving up',
    'client/dist/src/engine/link.js',
    'owner.arriving(nowMs);',
    '',
    'sessions',
  ),
  one(
    'homes of sessions missing in the snapshot',
    snapshot,
    'counts.home += 1;\n            this.#writeHome(home);',
    '',
  ),
];

const receipts: readonly Mutant[] = [
  one(
    'receipt by tuple alone',
    apply,
    'if (!sessions.receive(command.session, sequence, row, tuples.rows.size(row)))\n            continue;',
    'sessions.receive(command.session, sequence, row, tuples.rows.size(row));',
    'sessions',
  ),
  one(
    'a receipt lost with its connection is not repeated',
    'client/dist/src/engine/receipts.js',
    'if (this.#drop(batch))\n            this.#pending.push(...batch.receipts);',
    'this.#drop(batch);',
    'pinned',
  ),
  one(
    'a receipt removes nothing',
    apply,
    'continue;\n        removeRow(state, row);\n    }\n    raiseFloor(',
    'continue;\n    }\n    raiseFloor(',
  ),
  one(
    'floor passes an unconfirmed receipt',
    clientOutcomes,
    "operation.stage = 'unconfirmed';",
    "operation.stage = 'unconfirmed'; session.leave(sequence);",
  ),
  {
    // This client's floor never passes a hand-over; one that does shows what the floor must do.
    name: 'a hand-over below the floor is not given back',
    edits: [
      {
        file: sessions,
        find: 'if (record.handed.length > 0)\n            holders.push(record);',
        replace: '',
      },
      {
        file: clientOutcomes,
        find: "operation.stage = 'unconfirmed';",
        replace: "operation.stage = 'unconfirmed'; session.leave(sequence);",
      },
    ],
  },
  one(
    'results missing in the snapshot',
    snapshot,
    'handed: record.handed.map((row) => state.tuples.idOf(row)) };',
    'handed: [] };',
    'snapshots',
  ),
  one(
    'deliveries are not counted',
    'server/dist/src/space/rows.js',
    'const deliveries = Math.min(this.deliveries(row) + 1, deliveriesMax);',
    'const deliveries = this.deliveries(row);',
  ),
];

const emptiness: readonly Mutant[] = [
  one(
    'locked counts as empty',
    line,
    'if (found.mayBeEnough && found.hidden !== 0) {',
    'if (false) {',
  ),
  one(
    'no evidence for "nothing"',
    coordinator,
    'else if (this.#waitEndedMs !== undefined && this.#without(empty).length === 0) {',
    'else if (this.#waitEndedMs !== undefined) {',
  ),
  one(
    'false empty: a wait that ended looks at nothing',
    reads,
    'const isEnough = found.length >= enoughFor(query);',
    'const isEnough = !waitEnded && found.length >= enoughFor(query);',
  ),
  one(
    'expiry by local clock',
    search,
    'if (!this.#view.rows.visible(row, this.#view.stampMs))',
    'if (!this.#view.rows.visible(row, this.#view.stampMs + 5000))',
  ),
  one(
    'a count forgets the expired ones to come',
    search,
    'return this.#view.rows.leaseEndMs(row) > this.#stampMs;',
    'return this.#view.rows.leaseEndMs(row) > this.#stampMs + 5000;',
  ),
  {
    name: 'two write-if-absent',
    edits: [
      {
        file: writes,
        find: 'const match = this.#inFlight.lastMatch(space, tuple.slot, change.absent);',
        replace: 'const match = undefined;',
      },
      {
        file: apply,
        find: 'if (absence !== undefined && state.slots.last(space, absence.slot) !== absence.lastChange) {',
        replace: 'if (false) {',
      },
    ],
  },
  one(
    'a handed tuple counts as absent',
    writes,
    'for (const row of this.#handed.ofSlot(space, tuple.slot)) {',
    'for (const row of []) {',
    'sessions',
  ),
];

const changes: readonly Mutant[] = [
  one(
    'm not looked at: a copy of a take acts again',
    sends,
    'newest.attempt === attempt && newest.m >= m)',
    'newest.attempt === attempt && newest.m > m)',
    'pinned',
  ),
  one(
    'answer to an older send taken',
    'server/dist/src/coordination/pinned-take.js',
    "case 'result':\n                if (message.m !== this.#m)\n                    return;",
    "case 'result':",
    'pinned',
  ),
  one(
    'hand-over counted at proposal',
    line,
    "this.#context.propose({ kind: 'hand', operation, tuples }, (outcome) => this.#settleHand(waiter, tuples, outcome));",
    "this.#context.propose({ kind: 'hand', operation, tuples }, (outcome) => this.#settleHand(waiter, tuples, outcome));\n        const handed = tuples.map((id) => this.#context.space.stored(this.#context.space.rowOf(id)));\n        this.#context.answer(waiter.coordinator, waiter.call, { kind: 'result', result: { kind: 'handed', tuples: handed }, m: waiter.isPinned ? waiter.number : 0 });",
    'contended',
  ),
  one(
    'write carried out twice',
    apply,
    "const result = resultOf(state, operation);\n    return result === undefined ? undefined : { kind: 'result', result, handOvers: [] };",
    'return undefined;',
  ),
  {
    name: 'late attempt executed',
    edits: [
      {
        file: sends,
        find: 'return sequence < (this.#sessions.get(session)?.floor ?? 0);',
        replace: 'return false;',
      },
      {
        file: sessions,
        find: "if (sequence < known.floor || sequence < operation.floor)\n            return 'closed';",
        replace: '',
      },
    ],
  },
  {
    name: 'an increment sees no increment in flight',
    edits: [
      {
        file: replaces,
        find: 'if (form !== undefined)\n            return this.#inForm(row, form);',
        replace: '',
      },
      {
        file: replaces,
        find: 'if (!this.#finder.isFree(row))\n            return undefined;',
        replace: '',
      },
      {
        file: apply,
        find: "if (rows.revision(row) !== command.revision)\n        return { kind: 'miss' };",
        replace: '',
      },
    ],
  },
  one(
    'hand-over with a write though not admitted',
    apply,
    "const admitted = state.sessions.admit(to);\n    if (admitted !== 'ok')\n        return { kind: 'stop', why: admitted };\n    const earlier",
    'const earlier',
    'sessions',
  ),
  one(
    'a retry acts though it has a result',
    pinned,
    "if (result !== undefined) {\n            this.#context.answer(from, call, { kind: 'result', result, m });\n            return;\n        }",
    '',
    'pinned',
  ),
];

const time: readonly Mutant[] = [
  {
    name: 'expired before its time',
    edits: [
      {
        file: expiry,
        find: 'const stampMs = this.#context.ports.stampMs();',
        replace: 'const stampMs = this.#context.ports.stampMs() + 500;',
      },
      {
        file: apply,
        find: 'if (row === noRow || !rows.isReady(row) || rows.leaseEndMs(row) > state.stampMs)',
        replace: 'if (row === noRow || !rows.isReady(row))',
      },
    ],
  },
  one(
    'given back after its lease, and ready',
    apply,
    'const over = tuples.rows.leaseEndMs(row) <= stampMs;',
    'const over = false;',
    'sessions',
  ),
  one(
    'nothing expires',
    expiry,
    'if (space.nextDeadlineMs() > stampMs)\n            return;',
    'return;',
  ),
  {
    name: 'stamps from the wall clock alone',
    edits: [
      {
        file: 'server/dist/src/partition/stamp-clock.js',
        find: 'Math.max(options.lastStampMs, Math.floor(options.wallMs))',
        replace: 'Math.floor(options.wallMs)',
      },
      {
        file: space,
        find: 'if (entry.stampMs > state.stampMs)\n            state.stampMs',
        replace: 'state.stampMs',
      },
    ],
  },
];

const durability: readonly Mutant[] = [
  one(
    'answer before fsync',
    log,
    'await file.write(frame.offset, bytes);\n        await file.sync();',
    'await file.write(frame.offset, bytes);\n        file.sync().catch(() => {});',
  ),
  one(
    'no fsync at all',
    log,
    'await file.write(frame.offset, bytes);\n        await file.sync();',
    'await file.write(frame.offset, bytes);',
  ),
  one(
    'torn tail trimmed below the durable mark',
    'server/dist/src/storage/recovery.js',
    'this.#searchBehind(image, from);',
    'this.#searchBehind(image, this.#lastFrom);',
  ),
  one(
    "a segment's name is not synced",
    'server/dist/src/storage/segments.js',
    'await disk.rename(newName, segmentName(this.#next));\n            await disk.syncFolder(logFolder);',
    'await disk.rename(newName, segmentName(this.#next));',
  ),
];

const notification: readonly Mutant[] = [
  one(
    'a resumed stream repeats what was seen',
    notify,
    'if (isBefore(at, place))\n            places.set(partition, place);',
    '',
  ),
  one(
    'a resumed stream begins now',
    notify,
    'places.set(each, place);\n        }',
    'places.set(each, readers.get(each).bounds.last);\n        }',
  ),
  one(
    'history missing in the snapshot',
    snapshot,
    'for (const run of runsOf(this.#history)) {\n            this.#item((writer) => writeEvents(writer, run));\n            yield;\n        }\n        counts.events = this.#history.count;',
    '',
    'snapshots',
  ),
];

function ofStorage(name: string, file: string, ...changes: readonly [string, string][]): Mutant {
  const path = `server/dist/src/storage/${file}`;
  const edits = changes.map(([find, replace]) => ({ file: path, find, replace }));
  return { world: 'storage', name, edits };
}

const storageMutants: readonly Mutant[] = [
  ofStorage(
    'torn tail appended to',
    'recovery.js',
    ['await trimTail(disk, walk.tornTail())', '[]'],
    [
      'offset: this.#tailOffset,\n                };',
      'offset: Math.max(this.#tailOffset, ...this.#torn.filter(({ file }) => file === segmentName(number)).map(({ to }) => to)),\n                };',
    ],
  ),
  ofStorage('mid-log damage trimmed', 'recovery.js', [
    'if (frame.durable <= this.#sequence)\n            return;',
    'return;',
  ]),
  ofStorage('tombstone forgotten', 'recorder.js', [
    'frame.replica(record);',
    "if (record.state === 'living')\n            frame.replica(record);",
  ]),
  ofStorage('files of a replica go before its tombstone is durable', 'storage.js', [
    'await new Promise((resolve) => this.log.append(batch, resolve));\n        await this.snapshots.removeDead',
    'this.log.append(batch, () => undefined);\n        await this.snapshots.removeDead',
  ]),
  ofStorage('snapshots of a removed replica stay when the power failed', 'storage.js', [
    'await snapshots.removeDead(opened',
    'void (opened',
  ]),
  ofStorage('log kept under a snapshot with another term', 'groups.js', [
    'return term !== undefined && term !== mark.term;',
    'return false;',
  ]),
  ofStorage('log dropped under a snapshot with its own term', 'groups.js', [
    'return term !== undefined && term !== mark.term;',
    'return true;',
  ]),
  ofStorage(
    'a write lies in several frames though it fits one',
    'batch.js',
    ['if (batchBytes(batch) <= bytesMax)\n        return [batch];', 'bytesMax = 1;'],
    ['batchBytes(write) <= bytesMax ? [write] : divided', 'divided'],
  ),
  ofStorage('a part of a large write has all of its commit index', 'batch.js', [
    'commit = Math.min(commit, index - 1);',
    'commit = commit;',
  ]),
  ofStorage('a mark before its snapshot is durable', 'snapshot-writer.js', [
    'await this.#file.sync();\n        });',
    '});',
  ]),
];

/** All of them. */
export const mutants: readonly Mutant[] = [
  ...fences,
  ...acceptance,
  ...cancelling,
  ...waiting,
  ...sessionEnds,
  ...receipts,
  ...emptiness,
  ...changes,
  ...time,
  ...durability,
  ...notification,
  ...storageMutants,
];
