import type { Clock } from '../base/doors.ts';
import type { GroupId, NodeId } from '../base/ids.ts';
import { type Message, MessageKind } from '../raft/message.ts';
import { CoordinationBatchWriter, type CoordinationItem } from '../transport/coordination-codec.ts';
import { Lane } from '../transport/lane.ts';
import type { Links } from '../transport/links.ts';
import { RaftBatchWriter } from '../transport/raft-codec.ts';

/** What an outbox needs of the links. */
export type OutboxLinks = Pick<Links, 'send' | 'flush' | 'isConnected'>;

/** What waits for one node. */
interface Waiting {
  readonly raft: RaftBatchWriter;
  readonly heartbeats: RaftBatchWriter;
  readonly coordination: CoordinationBatchWriter;
}

/** What a turn says to other nodes, as one frame a lane and node, as far as it fits. */
export class Outbox {
  readonly #self: NodeId;
  readonly #clock: Clock;
  readonly #links: OutboxLinks;
  readonly #waiting = new Map<NodeId, Waiting>();
  #isScheduled = false;

  constructor(self: NodeId, clock: Clock, links: OutboxLinks) {
    this.#self = self;
    this.#clock = clock;
    this.#links = links;
  }

  /** A message of a group's replica here for one on that node. It may get lost, and does where there is no link. */
  raft(to: NodeId, group: GroupId, message: Message): void {
    if (!this.#links.isConnected(to)) return;
    const { raft, heartbeats } = this.#for(to);
    const isBeat = isHeartbeat(message.kind);
    const writer = isBeat ? heartbeats : raft;
    if (writer.add(group, message)) return;
    this.#links.send(to, isBeat ? Lane.heartbeat : Lane.raft, writer.finish());
    writer.add(group, message);
  }

  /** Anything of routers and leaders. It is lost only with the link, which `Links` tells of. */
  coordination(to: NodeId, item: CoordinationItem): void {
    if (!this.#links.isConnected(to)) return;
    const { coordination } = this.#for(to);
    if (coordination.add(item)) return;
    this.#links.send(to, Lane.coordination, coordination.finish());
    coordination.add(item);
  }

  /** A link is gone, and with it what waited for it. */
  drop(to: NodeId): void {
    this.#waiting.delete(to);
  }

  #for(to: NodeId): Waiting {
    if (!this.#isScheduled) {
      this.#isScheduled = true;
      this.#clock.soon(() => this.#flush());
    }
    const known = this.#waiting.get(to);
    if (known !== undefined) return known;
    const waiting = {
      raft: new RaftBatchWriter(this.#self, to),
      heartbeats: new RaftBatchWriter(this.#self, to),
      coordination: new CoordinationBatchWriter(this.#self, to),
    };
    this.#waiting.set(to, waiting);
    return waiting;
  }

  #flush(): void {
    this.#isScheduled = false;
    for (const [to, { raft, heartbeats, coordination }] of this.#waiting) {
      if (heartbeats.count > 0) this.#links.send(to, Lane.heartbeat, heartbeats.finish());
      if (raft.count > 0) this.#links.send(to, Lane.raft, raft.finish());
      if (coordination.count > 0) this.#links.send(to, Lane.coordination, coordination.finish());
    }
    this.#links.flush();
  }
}

function isHeartbeat(kind: MessageKind): boolean {
  return kind === MessageKind.heartbeat || kind === MessageKind.heartbeatAnswer;
}
