/** `tuplet/internal`: rooms of the server for the bench beside it. Nothing here is for users. */
export type { GroupId, NodeId } from './base/ids.ts';
export { Prng } from './base/prng.ts';
export { configurationOf } from './raft/configuration.ts';
export { MemoryStorage } from './raft/memory-storage.ts';
export { type Message, noBytes } from './raft/message.ts';
export { raftDefaults } from './raft/options.ts';
export { RaftNode } from './raft/raft-node.ts';
export type { AppendWork } from './raft/ready.ts';
export { PayloadMemory } from './transport/payload-memory.ts';
export { type GroupMessage, RaftBatchWriter, readRaftBatch } from './transport/raft-codec.ts';
