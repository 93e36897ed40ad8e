/** Every bound of the server, with its unit and its reason. Relations between them are asserted below. */
import { limits as sharedLimits } from '@tuplet/proto';
import { assert } from './assert.ts';

const kibibyte = 1024;
const mebibyte = 1024 * kibibyte;

// Cluster map.

/** Characters (bytes: they are ASCII) of a space's name. */
export const spaceNameBytesMax = 128;
/** Bytes of the tag of a routing rule, encoded: a name, no payload; every request hashes against it. */
export const routingTagBytesMax = 1_024;
/** Routing rules of a space (SPEC §6): a router holds them all. */
export const routingRulesMax = 64;
/** Spaces, those being dropped included: the whole map is one chunk of a snapshot. */
export const spacesMax = 4_096;
/** Changes of the map in flight; operators make them, so more is a mistake. */
export const mapCallsMax = 256;
/** Milliseconds that a node looks for the map's leader, and waits for its answer; as other calls. */
export const mapCallMs = 10_000;
/** Milliseconds after which a leader that refused a change of the map, because it did not lead, is asked again. */
export const mapAgainMs = 100;
/** Milliseconds that a change of the map is not answered because the node that asked has not applied it yet. */
export const mapSeenMs = 1_000;
/** Milliseconds that a call waits for a linearizable look at the map: an election, and the links made anew. */
export const mapLookMs = 5_000;
/** Milliseconds between two askings of a partition that has not yet dropped a space. */
export const dropAgainMs = 1_000;
/** Milliseconds between two looks at which partitions are to be asked, while spaces are being dropped. */
export const dropLookMs = 100;
/**
 * By how much two clocks may differ that run without correction: 500 millionths each, what NTP takes
 * for a clock that can be disciplined (RFC 5905 §7.2). A home adds it to its sessions' leases.
 */
export const clockDriftShare = 0.001;
/** Milliseconds between the two askings of SpaceDrops: parked requests are decided long before. */
export const dropSettleMs = 5_000;

// Turn loop.

/** Milliseconds that a turn drains, and that it applies, before sockets are read again (ARCHITECTURE 3). */
export const turnSliceMs = 2;
/** Messages or entries of one group before the next group's: none starves within a slice. */
export const groupShareMax = 64;
/** Milliseconds between ticks while leaders have something to watch (offers, waits, leases). */
export const tickMs = 10;
/** Milliseconds between ticks of an idle node: expiry is seen within 100 ms (SPEC §4). */
export const idleTickMs = 40;
/** Nodes of a cluster are numbered from 1 to this; a router's id ends in its node's. */
export const nodesMax = 255;
/** Characters of a node's name, zone or address: a DNS name has 253. */
export const nodeTextBytesMax = 260;
/** Replicas of a partition (SPEC has no bound): each is written and answered by all of them. */
export const replicasMax = 7;
/** Moves of replicas at a time in a cluster: each sends a whole partition. */
export const movesMax = 4;
/** Moves of replicas to one node at a time. */
export const movesToNodeMax = 2;
/** Milliseconds that a node has to say whether another may join: a change of the map, which may wait for a leader. */
export const linkJoinMs = 12_000;
/** Milliseconds that nodes have to say what they lead, where an operator asks. */
export const statusWaitMs = 1_000;
/** Milliseconds that another node has to take a leadership over, where an operator asks for it. */
export const transferMsMax = 5_000;
/** Milliseconds between two looks whether it has. */
export const transferLookMs = 50;
/** Milliseconds until a node tries again to say what it is called, where nobody could take that down. */
export const describeAgainMs = 1_000;
/** Milliseconds between two rounds of asking those that a node wants to join. */
export const joinAgainMs = 500;
/** Replicas that a group may have at once: one of group 0 on each node, and those that come and go. */
export const replicasOfGroupMax = 300;
/** Milliseconds between two looks at groups whose replicas move. */
export const placementLookMs = 100;
/** Milliseconds between two looks at all groups, whatever the map says of them. */
export const placementSweepMs = 2_000;
/** Entries that a replica may lack of what is committed, and count as caught up: a second of a busy group. */
export const caughtUpEntriesMax = 2_000;
/** Milliseconds between two looks of the map's leader at what shall be where. */
export const allocatorLookMs = 250;
/** Milliseconds that a node may be away before others get its replicas, where nothing else is said. */
export const replaceAfterMsDefault = 600_000;
/** Milliseconds between two leaderships that go elsewhere so that all nodes lead alike. */
export const balanceLeadersMs = 1_000;
/** Milliseconds after a node came or went in which no leadership goes elsewhere for balance. */
export const balanceQuietMs = 5_000;
/** Milliseconds that a node which stops gives the others to take its leaderships: an election's time. */
export const leaveMsMax = 2_000;
/** Milliseconds between two looks whether what a node waits for at its start and its end is there. */
export const foundedLookMs = 20;
/**
 * Milliseconds for which what is committed waits for entries to ride on, before followers are told by an append of
 * its own. Callers in step ask for more within that; what follows the log elsewhere (events) is later by it.
 */
export const commitTellMs = 2;
/** Milliseconds of a tick of the Raft groups: heartbeats at each, elections after 10 to 20 (Ongaro 2014 §9). */
export const raftTickMs = 100;
/**
 * Milliseconds between the turns in which those who lost a leader ask to follow it: what an election takes
 * on a busy machine, so that the next one mostly finds it decided.
 */
export const successionStepMs = 60;
/** Milliseconds within which a turn begins, at random: two ticks of a node at work. */
export const successionJitterMs = 20;
/** Times that a replica asks so; then the election timeout, which has gone on, is not far. */
export const successionTriesMax = 5;
/** Milliseconds that a leader waits for what is in flight before it hands over: some turns of a busy disk. */
export const handOverWaitMs = 200;
/**
 * Milliseconds that a write of the log may take before the node's leaderships go to others: as long as
 * those wait for a leader that is silent. A disk that is only slow stays far below.
 */
export const diskHungMs = 1_000;
/** Milliseconds after which a snapshot that was sent, and not acknowledged, counts as lost. */
export const snapshotLostMs = 10_000;
/** Milliseconds after which a commit index that nobody waits for is written by itself. */
export const commitWriteMs = 1_000;
/** Messages that wait for one partition's leader; beyond it new work is refused. */
export const inboxMessagesMax = 16_384;
/** Bytes that wait for all leaders of a node; beyond it new work is refused. */
export const inboxBytesMax: number = 64 * mebibyte;
/** Share of the inbox limits at which `ready` turns false, so that routers slow down before refusals. */
export const inboxReadyShare = 0.5;
/** Proposals in flight of one partition; beyond it its inbox waits. */
export const inFlightEntriesMax = 8_192;
/** Bytes of proposals in flight of one partition: some of the largest frames. */
export const inFlightBytesMax: number = 32 * mebibyte;
/** Bytes in flight of all partitions; beyond it all inboxes wait. */
export const inFlightBytesTotalMax: number = 128 * mebibyte;
/** Bytes of entries since a group's last snapshot after which the next may be due (ARCHITECTURE 4). */
export const snapshotTailBytes: number = 4 * mebibyte;
/** The tail may be this many times the last snapshot, where that is more. */
export const snapshotTailShare = 2;
/** Bytes cut from a group between two turns: well under 5 ms of work. */
export const snapshotCutBytes: number = 256 * kibibyte;
/** Bytes of one chunk of a snapshot that another node sends: the whole map of the cluster is one. */
export const snapshotChunkBytesMax: number = 64 * mebibyte;
/** Milliseconds that a tick moves tuples together to give memory back: a tenth of a busy tick. */
export const compactMs = 1;
/** Rows that a tick looks at for that, where the clock does not stop it: a million a few seconds. */
export const compactRows = 16_384;
/** Rows between two looks at the clock: of 16 KiB at most, where tuples share chunks, so 1 MiB moves. */
export const compactPieceRows = 64;
/** Milliseconds until the next snapshot is tried after one found no room. */
export const snapshotRetryMs = 1_000;
/** Segments with frames, besides what groups at work hold, before those that idle must cut a snapshot. */
export const logSegmentsWanted = 4;
/** Bytes of the log for each byte of payload that groups hold: frames of one small entry cost most. */
export const logBytesShare = 3;

// Coordination.

/** Milliseconds until an offer that nobody accepts lapses (PROTOCOL W4): far above a round trip. */
export const offerLapseMs = 200;
/** Milliseconds after a wait's end in which a take is answered (SPEC §3 says 50), with room for the way. */
export const waitEndLimitMs = 40;
/** Milliseconds between questions to a home that has not answered (S1), and between ENDs that are not confirmed (S2). */
export const askAgainMs = 200;
/** Waiting takes and reads of one partition: 100,000 a node are normal, and all may wait in one place. */
export const waitersMax = 200_000;
/** Requests of one partition that wait for a session to become known: a home answers within a round trip. */
export const parkedRequestsMax = 10_000;
/** Bytes of these: half of what all inboxes of a node hold. */
export const parkedBytesMax: number = 32 * mebibyte;
/** Mutations of one partition that wait until a lock or an entry in flight is decided. */
export const blockedMutationsMax = 10_000;
/** Bytes of these: half of what all inboxes of a node hold. */
export const blockedBytesMax: number = 32 * mebibyte;
/** Hash indexes of a partition: 14 bytes a row each; the least recently used goes. */
export const tupleIndexesMax = 16;
/** Ready tuples of a space below which no index is worth its building. */
export const tupleIndexRowsMin = 64;
/** Rows that are put into an index being built in one go: 0.2 ms, twice a turn in each of 16 partitions. */
export const tupleIndexSliceRows = 500;
/** Rows that the searches of a partition look at in one go: 0.2 ms, twice a turn in each of 16. */
export const searchSliceRows = 1_000;
/** Unfinished searches of a partition that go on in turn: each hears of every transition. */
export const searchesAtOnceMax = 8;
/** Shapes among the waiters of a space that have lines of their own; further ones share one line. */
export const waiterShapesMax = 64;
/** Values of an `any_of` under which a waiter stands in several lines; beyond, in the general one. */
export const waiterPlacesMax = 16;

assert(inFlightBytesTotalMax >= inFlightBytesMax, 'one partition may fill its own pipeline');
assert(idleTickMs >= tickMs, 'an idle node ticks less');
assert(compactMs < tickMs, 'compaction leaves time for calls');
assert(compactPieceRows <= compactRows, 'a tick compacts at least a piece');

/** Highest group: 0 is the cluster map, 1..256 are partitions. */
export const groupMax = 256;

// Raft, of one group each.

/** Ticks of an election timeout, drawn from so many to twice as many: ten heartbeats may be lost. */
export const electionTicks = 10;
/** Bytes of entries in one append: some milliseconds of a gigabit link, so that heartbeats get through. */
export const appendBytesMax: number = mebibyte;
/** Bytes of entries handed out to be applied: one of the largest, and another meanwhile. */
export const applyingBytesMax: number = 8 * mebibyte;
/** Bytes of a leader's uncommitted log: all that a partition may have in flight, twice (a new leader's too). */
export const uncommittedBytesMax: number = 64 * mebibyte;
/**
 * Appends on their way to one follower. Each proposal makes one of its own, so a busy group fills it
 * within a slow round trip; what is proposed meanwhile goes together, up to `appendBytesMax` each.
 */
export const inflightAppendsMax = 256;
/** Bytes on their way to one follower: a tenth of a second of a gigabit link. */
export const inflightAppendBytesMax: number = 16 * mebibyte;
/**
 * Bytes of a node's log that wait for its disk, beyond which a follower passes over appends (its leaders
 * send them again): what four leaders may have on their way to it at once, and a second of a slow disk.
 */
export const followerPendingBytesMax: number = 64 * mebibyte;
/** Reads that wait for a round: all that a node's clients can have open, over 4 busy groups. */
export const raftReadsMax = 65_536;
/** Rounds of reads under way: so many round trips overlap; further reads share the next one. */
export const readRoundsMax = 8;
/** Bytes of entries looked at in one go where a log is searched: no more than one append. */
export const logScanBytes: number = mebibyte;

assert(applyingBytesMax >= appendBytesMax, 'what one append brings is applied in one go');
assert(inflightAppendBytesMax >= appendBytesMax, 'a full append may be on its way');
assert(
  followerPendingBytesMax >= inflightAppendBytesMax,
  'a follower takes in what one leader sends',
);
assert(uncommittedBytesMax >= inFlightBytesMax, 'a partition may fill its pipeline');

// Storage.

/** Bytes of a log segment: large enough that a roll is rare, small enough that two spares are no burden. */
export const logSegmentBytes: number = 64 * mebibyte;
/** Bytes of the smallest segment that `open` accepts: the head of 257 groups and some frames fit. */
export const logSegmentBytesMin: number = 64 * kibibyte;
/** Bytes of one entry's payload: a request of 3.5 MiB (SPEC §1) and what the entry adds to it. */
export const logPayloadBytesMax: number = 4 * mebibyte;
/** More than what an entry adds to each of its tuples, in bytes: tags, lengths, slot and lease. */
export const logTupleOverheadBytes = 64;
/** More than what an entry adds besides: stamp, space, identity, hand-over of one. */
export const logEntryOverheadBytes: number = 4 * kibibyte;
/** Bytes of one frame: two of the largest entries; more waits for the next write. */
export const logFrameBytesMax: number = 8 * mebibyte;
/** Segments kept ready: the one that comes next, and one more for a disk that fills meanwhile. */
export const logSparesTarget = 2;
/** Bytes of zeros written at once while a segment is prepared; the log's own writes go between. */
export const logZeroBytes: number = 256 * kibibyte;
/** Idle milliseconds after which an empty frame records that the last one is durable. */
export const logIdleMs = 5;
/** Milliseconds between attempts to prepare space after the disk was full. */
export const diskFullRetryMs = 1000;
/** Copies of torn tails that stay in the folder. */
export const logTornCopiesMax = 8;
/** Folders of copies that `tuplet repair` looks for a free one among: one is more than anybody wants. */
export const repairsMax = 1_000;
/** Bytes of one piece of a snapshot, under one CRC; larger chunks are divided. */
export const snapshotPieceBytesMax: number = mebibyte;
/** Bytes of a snapshot's context, which begins it: a group's configuration, a few bytes a replica. */
export const snapshotContextBytesMax: number = 64 * kibibyte;
/** Bytes of a snapshot between syncs, so that its end does not hold up the log for long. */
export const snapshotSyncBytes: number = 4 * mebibyte;
/** Snapshots of a group that are kept: the newest, and one in case it is damaged. */
export const snapshotsKept = 2;
/** Bytes reserved for one snapshot before any is known: a partition's tail when one is due, twice. */
export const snapshotReserveBytesMin: number = 8 * mebibyte;

assert(logFrameBytesMax > logPayloadBytesMax, 'an entry fits a frame');
assert(logSegmentBytes >= 2 * logFrameBytesMax, 'a frame fits a segment');
assert(logSegmentBytesMin > groupMax * 88 * 2, 'a head fits the smallest segment');

// Transport.

/** Characters of a node's `host:port`: a DNS name has 253 (RFC 1035 §2.3.4), a port five. */
export const addressCharactersMax = 261;

/** Raft messages of one batch between two nodes: some 16 of each of 257 groups, more than a turn makes. */
export const raftBatchMessagesMax = 4_096;
/**
 * Bytes of such a batch: the largest single message (an append with one of the largest entries) and as
 * much again, so that what is queued behind it need not wait for another one.
 */
export const raftBatchBytesMax: number = 8 * mebibyte;

/** Items of one batch of routers and leaders: more than a turn of 2 ms makes for one node. */
export const coordinationBatchItemsMax = 4_096;
/** Bytes of such a batch: the largest single item, a change with all that one request may bring twice over. */
export const coordinationBatchBytesMax: number = 8 * mebibyte;
/** Bytes of memory in which batches are put together, kept from one to the next; most are far smaller. */
export const coordinationBufferBytesMax: number = mebibyte;
/** UTF-16 code units of a leader's words about a refusal: a sentence and some numbers. */
export const refusalTextMax = 1_024;
/** UTF-16 code units of the path of an argument that the map's leader refuses: names and positions of ours. */
export const refusalFieldMax = 128;

/** Bytes of the chunks in which payloads that were received lie, until the last of them is let go. */
export const raftPayloadChunkBytes: number = 16 * kibibyte;
/** Bytes up to which a message's payloads lie beside those of others; beyond, an array of their own pays. */
export const raftPayloadSharedMax: number = 2 * kibibyte;

/** Bytes of one frame between two nodes: the largest that a codec makes, and room for what it grows by. */
export const linkFrameBytesMax: number = raftBatchBytesMax + 64 * kibibyte;
/** Bytes of the frames in one message, unless a single one is larger: others take turns between messages. */
export const linkMessageBytes: number = mebibyte;
/** Frames of Raft that wait for one peer: a frame a turn, so a thousand turns. */
export const raftLaneFramesMax = 1_024;
/** Bytes of these, what is being written too: what two leaders may have on their way to it at once. */
export const raftLaneBytesMax: number = 32 * mebibyte;
/** Heartbeats that wait for one peer; each stands for all groups, and the newest says all. */
export const heartbeatLaneFramesMax = 8;
/** Bytes of these: some of 257 groups each. */
export const heartbeatLaneBytesMax: number = mebibyte;
/** Frames of coordination that wait for one peer; beyond it the link breaks. */
export const coordinationLaneFramesMax = 16_384;
/** Bytes of these: as many as wait for all leaders of a node. */
export const coordinationLaneBytesMax: number = 64 * mebibyte;
/** Bytes of one piece of a snapshot on its way: 2 ms of a gigabit link. */
export const linkPieceBytesMax: number = 256 * kibibyte;
/** Bytes of what a snapshot begins with: a Raft message with a configuration. */
export const linkHeaderBytesMax: number = mebibyte;
/** Snapshots on their way to one peer at once; others wait, and cost nothing while they do. */
export const linkSnapshotsAtOnce = 2;
/** Snapshots that wait for one peer: one of each group. */
export const linkSnapshotsWaitingMax: number = groupMax + 1;
/** Milliseconds between two looks at a link; whoever wrote nothing in between says that it is there. */
export const linkTickMs = 100;
/** Ticks of silence after which a link is broken: the shortest election timeout. */
export const linkSilentTicks = 10;
/** Milliseconds that a dial has, its names, handshakes and welcomes included. */
export const linkDialMs = 2_000;
/** Milliseconds before a dial that follows a failure; doubles with each further one. */
export const linkBackOffMs = 50;
/** Milliseconds of the longest such pause: one that comes back is found within it. */
export const linkBackOffMaxMs = 1_000;
/** Milliseconds that a link has to stand before its end counts as the first failure. */
export const linkStableMs = 1_000;
/** Milliseconds before a dial that follows a refusal: an operator has to act. */
export const linkRefusedMs = 5_000;
/** Connections to a node's port for its peers, those that have not yet said hello included. */
export const linkConnectionsMax = 256;
/** Milliseconds of silence after which grpc-js asks a connection that was left whether it is there. */
export const linkPingMs = 10_000;
/** Bytes of a cluster's id. */
export const clusterIdBytesMax = 128;

assert(raftPayloadSharedMax < raftPayloadChunkBytes, 'some messages share a chunk');
assert(raftBatchMessagesMax > groupMax * 8, 'what a tick says about all groups is one batch');
assert(raftBatchBytesMax > logPayloadBytesMax + appendBytesMax, 'any append fits a batch');
assert(
  coordinationBufferBytesMax < coordinationBatchBytesMax,
  'what a large batch needs is let go',
);
assert(raftLaneBytesMax >= 2 * linkFrameBytesMax, 'a frame may wait behind the largest');
assert(coordinationLaneBytesMax > linkFrameBytesMax, 'a frame of coordination has its place');
assert(linkSilentTicks * linkTickMs >= electionTicks * raftTickMs, 'Raft gives a leader up first');
assert(linkRefusedMs > linkBackOffMaxMs, 'a refusal is not retried fast');
assert(linkMessageBytes > linkPieceBytesMax, 'pieces are no larger than other messages');

// Space.

/** Tuple ids of one item of a snapshot, of those that are to be given back: some 8 KiB at most. */
export const snapshotReturningMax = 1_000;
/**
 * Ids of tuples and sessions, in each partition, that a restored cluster leaves out behind those of its backup:
 * more than the other cluster gives in years, and few enough for thousands of restored clusters in a row.
 */
export const restoredIdsSkipped: number = 2 ** 32;
/**
 * A floor that rises by so many sequences passes them by counting, whatever the session holds: some
 * 64 lookups cost no more than the sort that looking at each operation needs.
 */
export const floorCountedMin = 64;
/**
 * Further sequences that it counts for each operation that the session holds: one's sequences are
 * spread over partitions, so most of those that a floor passes are not here.
 */
export const floorCountedShare = 8;

/** The bounds of a partition’s state and of what its leader admits (SPEC §3, §4, §8). */
export const limits = {
  /** Tuples in one write, take, expiry or drop: bounds the work of one entry (SPEC §3, §4). */
  batchTuplesMax: 1_000,
  /** Bytes of tuples in one expiry or drop: bounds what its events add to the history (SPEC §4). */
  batchBytesMax: 1_048_576,
  /** Bytes of a caller's request id: a UUID as text fits, a payload does not. */
  requestIdBytesMax: 64,
  /** UTF-8 bytes of a session's name: it is for people. */
  sessionNameBytesMax: 128,
  /** Milliseconds of a session's lease: an hour survives any pause that is not an end. */
  sessionLeaseMsMax: 3_600_000,
  /** Milliseconds that the end of a session is remembered: S3, later than any OPEN can come. */
  endedMarkMs: 600_000,
  /**
   * Unfinished operations of a session, as one partition sees them (SPEC §4): those that its floor has
   * not passed, answered ones too, for a copy of any of them may still come (T2).
   */
  sessionOperationsMax: 4_096,
  /** Bytes of results and unacknowledged tuples of a session, as one partition sees them (SPEC §4). */
  sessionBytesMax: 67_108_864,
  /** Sessions whose home is one partition, ended ones not yet forgotten too; beyond it none is opened. */
  homeSessionsMax: 100_000,
  /** Sessions that one partition serves; beyond it no KNOW is logged. Some of each of 256 homes. */
  knownSessionsMax: 100_000,
  /**
   * Marks of ended sessions in a partition, some 70 bytes each, beyond which no further session begins
   * to be served: S3 lets none go before its 10 minutes, so it is 800 ends a second all that time.
   */
  endedSessionsMax: 500_000,
  /** Milliseconds that the result of a request without a session is remembered (SPEC §4). */
  requestResultMs: 300_000,
  /** Such results in a partition (SPEC §4). */
  requestResultsMax: 100_000,
  /** Bytes of such results in a partition (SPEC §4). */
  requestResultBytesMax: 16_777_216,
  /** Bytes of events that a partition keeps (SPEC §8); 0: none. */
  historyBytesMax: 8_388_608,
  /** Milliseconds that a partition keeps events (SPEC §8); 0: none. */
  historyMs: 600_000,
  /** Dead bytes in slabs before any are compacted: below it, moving gains nothing one would notice. */
  slabDeadBytesMin: 524_288,
  /** Empty chunks of 64 KiB kept for reuse: a queue that flows through opens them all the time. */
  slabSparesMax: 8,
  /** Bytes of the chunks in which copies of tuples for answers lie, until the last of them is let go. */
  copyChunkBytes: 16_384,
  /** Bytes up to which such a copy lies beside others. */
  copyBytesMax: 1_024,
  /** Bytes of a snapshot's chunk where its reader names none: about a millisecond of work. */
  snapshotChunkBytes: 262_144,
} as const;

assert(limits.batchBytesMax < logPayloadBytesMax, 'a batch fits an entry');
assert(
  sharedLimits.messageBytesMax + limits.batchTuplesMax * logTupleOverheadBytes <
    logPayloadBytesMax - logEntryOverheadBytes,
  'what a request writes fits an entry',
);
assert(
  sharedLimits.tupleBytesMax + logTupleOverheadBytes < logPayloadBytesMax - logEntryOverheadBytes,
  'a tuple that a change has made larger fits an entry',
);
assert(logPayloadBytesMax < limits.sessionBytesMax, 'a session may hold any single result');
assert(limits.requestResultMs <= limits.endedMarkMs, 'what is remembered for less goes first');
assert(parkedRequestsMax < waitersMax, 'parked requests are fewer than waiters');

// Router.

/** Calls that a router has open, blocked ones included: 1.5 KiB each, so a few hundred MiB at most. */
export const callsMax = 262_144;
/** Bytes that templates of waiting calls share: one that waits long holds so much at the very worst. */
export const keptChunkBytes = 1_024;
/** Bytes up to which a template shares: what is left at a chunk's end is small. */
export const keptBytesMax = 128;
/** Templates of calls that waited lately which a node remembers: each holds such a chunk at worst. */
export const lastingTargetsMax = 256;
/** Milliseconds from the end of a wait to the last moment for an answer (SPEC §3). */
export const waitGraceMs = 50;
/** Milliseconds that a call which does not wait may take, the search for a leader included. */
export const callMsMax = 10_000;
/** Milliseconds between ticks of a router that has something to watch. */
export const routerTickMs = 20;
/** Tuples of one write-many (SPEC §3). */
export const writeManyMax = 1_000;
/** Tuples of one read-many or take-many (SPEC §3). */
export const manyMax = 1_000;
/** Receipts of one acknowledge. */
export const receiptsMax = 1_000;
/** Milliseconds after which a receipt that was not confirmed is sent again. */
export const receiptAgainMs = 200;
/** Bytes of the tuples in one answer: below the message limit, with room for what is around them. */
export const answerTupleBytesMax: number = 3.25 * mebibyte;
/** Lease of the sessions in which a node runs takes that came without one (SPEC §4). */
export const ownSessionLeaseMs = 10_000;
/** Sequences of one of them above its floor: below what a session may have open (4,096, SPEC §4). */
export const ownSessionOperationsMax = 4_000;
/** Milliseconds after which a lost hand-over below a waiting take makes its session retire. */
export const ownSessionStuckMs = 1_000;
/**
 * Milliseconds after which one does of whose takes a sending was refused in doubt: nothing was handed over
 * but to a copy that the network made, and each further session costs a busy node entries everywhere.
 */
export const ownSessionDoubtMs = 60_000;
/** Milliseconds of a session's lease: from, to, and where nothing is said (SPEC §4). */
export const sessionLeaseMsMin = 1_000;
export const sessionLeaseMsMax = 3_600_000;
export const sessionLeaseMsDefault = 10_000;
/** Bytes of a session's name. */
export const sessionNameBytesMax = 128;
/** Bytes of a request id (SPEC §4). */
export const requestIdBytesMax = 64;
/** Milliseconds of the longest lease or wait; longer ones are refused: 100 years. */
export const durationMsMax = 3_155_760_000_000;
/** Events that a notify stream looks at in one go, whether they match or not: about 1 ms. */
export const notifyLooksMax = 1_000;
/** Events of one message of a notify stream. */
export const notifyEventsMax = 500;
/** Bytes of one message of a notify stream, and of what a stream holds for its consumer. */
export const notifyMessageBytes: number = 256 * kibibyte;
/** Events between two cursors of a notify stream (SPEC §8), but for one larger revision. */
export const cursorEventsMax = 1_000;
/** Milliseconds that a node waits for events before it answers another one that there are none. */
export const historyWaitMs = 5_000;
/** Milliseconds until a history is asked for again, where nobody could say. */
export const historyAgainMs = 100;
/** Milliseconds after which a stream ends because nobody has a partition's history: an election, many times over. */
export const historyUnavailableMs = 10_000;
/** Milliseconds between two cursors of a notify stream. */
export const heartbeatMs = 5_000;

assert(
  // A tuple and a template of one request; in canonical form the tuple may be larger than it came.
  2 * sharedLimits.messageBytesMax + writeManyMax * logTupleOverheadBytes + logEntryOverheadBytes <
    coordinationBatchBytesMax,
  'any change fits a batch between nodes',
);
assert(
  // The two forms of a tuple that was replaced.
  2 * (sharedLimits.tupleBytesMax + logTupleOverheadBytes) + logEntryOverheadBytes <
    coordinationBatchBytesMax,
  'any result fits a batch between nodes',
);
assert(
  sharedLimits.messageBytesMax + manyMax * logTupleOverheadBytes + logEntryOverheadBytes <
    coordinationBatchBytesMax,
  'what a take or a read finds fits a batch between nodes',
);
assert(
  receiptsMax * logTupleOverheadBytes + logEntryOverheadBytes < coordinationBatchBytesMax,
  'receipts fit a batch between nodes',
);
assert(
  2 * (spaceNameBytesMax + routingRulesMax * 2 * routingTagBytesMax) + logEntryOverheadBytes <
    coordinationBatchBytesMax,
  'a space, with its settings and the rules in force, fits a batch between nodes',
);

// Gateway.

/** Milliseconds between two messages about changes of leaders on one stream: an election changes many. */
export const topologyMs = 100;

/** Calls in flight of one connection; 16 connections carry 100,000 blocked takes. */
export const callsPerConnectionMax = 16_384;
/** Calls of one message of an Exchange: begin and end all that a connection may have in flight. */
export const callsPerMessageMax = 32_768;
/** Streams of one connection, unary calls included: they cost more than calls of an Exchange. */
export const streamsPerConnectionMax = 1_024;
/** Connections of a node. */
export const connectionsMax = 4_096;
/** Bytes of replies that wait for a slow reader of an Exchange before no more calls are read. */
export const replyBytesPause: number = 4 * mebibyte;
/**
 * Bytes of replies that wait for a slow reader of an Exchange before its stream is ended. Above what
 * the calls that run at once can come to (256 of 1 MiB), so that only blocked calls, answered all
 * together, pass it.
 */
export const replyBytesMax: number = 320 * mebibyte;
/** Bytes of replies in one message of an Exchange, unless a single one is larger. */
export const replyMessageBytes: number = mebibyte;
/**
 * Milliseconds that an Exchange is held because a partition has more than it wants: time to work off
 * half an inbox, and a quarter of the shortest lease, whose keep-alives wait behind.
 */
export const holdMsMax = 250;
/** Milliseconds between two looks whether it may go on. */
export const holdLookMs = 5;
/** Bytes by which gRPC's own limit lies above ours, so that ours can say what was wrong. */
export const messageBytesMargin: number = 64 * kibibyte;
/** Milliseconds before its gRPC deadline at which a call that waits ends (SPEC §3). */
export const deadlineMarginMs = 100;
/** Milliseconds of silence after which a connection is asked whether it is there. */
export const keepaliveMs = 10_000;
/** Milliseconds within which it has to answer. */
export const keepaliveTimeoutMs = 5_000;
/** Milliseconds between two looks whether a node is apart from the others: a third of a cut's time is left. */
export const apartLookMs = 250;
/** Milliseconds that a stopping node gives its calls. */
export const drainMs = 2_000;
/** Milliseconds that it gives its disk after that: a disk that hangs must not keep a process for ever. */
export const closeMsMax = 10_000;

assert(writeManyMax <= limits.batchTuplesMax, 'a write of many is one entry a partition');
assert(manyMax <= limits.batchTuplesMax, 'a take of many is one entry');
assert(replyBytesMax > replyBytesPause, 'a stream is paused before it is ended');
assert(holdMsMax * 4 <= sessionLeaseMsMin, 'a stream that is held keeps its sessions');
assert(ownSessionDoubtMs >= ownSessionStuckMs, 'what is lost goes back first');
assert(deadlineMarginMs > waitGraceMs, 'a wait ends, and is answered, before its deadline');

/** Groups that are read at once at one node, for backups: each holds a chunk of a snapshot, and reads the disk. */
export const groupReadsMax = 4;
/** Bytes of a piece of a group's state on its way to who reads it. */
export const groupReadChunkBytes: number = 256 * kibibyte;
assert(groupReadChunkBytes < sharedLimits.messageBytesMax, 'a piece of a state fits a message');
