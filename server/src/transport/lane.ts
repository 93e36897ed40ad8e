/** The streams of a connection between two nodes, and what becomes of frames that find no place. */
import {
  coordinationLaneBytesMax,
  coordinationLaneFramesMax,
  heartbeatLaneBytesMax,
  heartbeatLaneFramesMax,
  raftLaneBytesMax,
  raftLaneFramesMax,
} from '../base/limits.ts';

/** What a frame is about: order holds within a lane alone. The numbers are those of the wire. */
export const Lane = { raft: 1, heartbeat: 2, coordination: 3 } as const;
/** One of `Lane`. */
export type Lane = (typeof Lane)[keyof typeof Lane];

/** All of them. */
export const lanes: readonly Lane[] = [Lane.raft, Lane.heartbeat, Lane.coordination];

/** The number on the wire of a stream that carries a snapshot. */
export const snapshotLane = 4;

/** The queue of a lane to one peer. */
export interface LaneRule {
  /** Frames that wait. */
  readonly framesMax: number;
  /** Bytes of frames that wait or are being written; a single frame always has its place. */
  readonly bytesMax: number;
  /** What becomes of a frame beyond that. */
  readonly overflow: 'drop-newest' | 'drop-oldest' | 'break';
}

/** LINKS.md has the reasons. */
export type LaneRules = { readonly [lane in Lane]: LaneRule };

/** The rules of a node; tests make the bounds smaller. */
export const laneRules: LaneRules = {
  [Lane.raft]: {
    framesMax: raftLaneFramesMax,
    bytesMax: raftLaneBytesMax,
    overflow: 'drop-newest',
  },
  [Lane.heartbeat]: {
    framesMax: heartbeatLaneFramesMax,
    bytesMax: heartbeatLaneBytesMax,
    overflow: 'drop-oldest',
  },
  [Lane.coordination]: {
    framesMax: coordinationLaneFramesMax,
    bytesMax: coordinationLaneBytesMax,
    overflow: 'break',
  },
};
