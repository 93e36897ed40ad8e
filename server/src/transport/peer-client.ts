/** The dialling side of a connection between two nodes. */
import { Channel, type ChannelOptions, type StatusObject, status } from '@grpc/grpc-js';
import { keepaliveTimeoutMs, linkBackOffMaxMs, linkPingMs } from '../base/limits.ts';
import { Lane, type LaneRules, lanes, snapshotLane } from './lane.ts';
import { LaneQueue } from './lane-queue.ts';
import { OutgoingCall, type OutgoingEvents } from './outgoing-call.ts';
import {
  type Hello,
  readLinkWelcome,
  type Welcome,
  writeFrames,
  writeLinkHello,
} from './peer-codec.ts';
import { channelCredentials, type PeerCredentials } from './peer-credentials.ts';
import { linkPath, refusalTrailer, sendSnapshotPath } from './peer-service.ts';
import { type Refusal, refusalOfError, refusalReasons } from './refusal.ts';

/** What is told to grpc-js; times in milliseconds. */
export const channelOptions: ChannelOptions = {
  // A connection of its own for each dial, instead of one shared by all in the process.
  'grpc.use_local_subchannel_pool': 1,
  // Counters that nobody reads.
  'grpc.enable_channelz': 0,
  // It would keep what was sent, to send it again.
  'grpc.enable_retries': 0,
  'grpc.enable_http_proxy': 0,
  'grpc.service_config_disable_resolution': 1,
  // It never dials again by itself: a dial is over with its first failure.
  'grpc.initial_reconnect_backoff_ms': linkBackOffMaxMs,
  // Finds connections that were left and cannot say so.
  'grpc.keepalive_time_ms': linkPingMs,
  'grpc.keepalive_timeout_ms': keepaliveTimeoutMs,
  'grpc.keepalive_permit_without_calls': 1,
  'grpc.max_send_message_length': -1,
};

/** Where and as whom to dial. */
export interface DialOptions {
  /** `host:port`. */
  readonly address: string;
  readonly credentials: PeerCredentials;
  readonly hello: Omit<Hello, 'lane'>;
  readonly rules: LaneRules;
}

/** Why a connection is over. */
export interface DialEnd {
  readonly message: string;
  readonly refusal?: Refusal;
}

/** What the owner of a connection hears. */
export interface DialEvents {
  /** All lanes are welcomed, by the same node in the same life. */
  up(welcome: Welcome): void;
  /** It is over, and closed. Once; nothing follows, and nothing after `close`. */
  down(end: DialEnd): void;
}

/** One lane's stream and queue. */
class LaneSender {
  readonly queue: LaneQueue;
  readonly call: OutgoingCall;
  isWelcome = false;
  hasWritten = false;

  constructor(queue: LaneQueue, call: OutgoingCall) {
    this.queue = queue;
    this.call = call;
  }

  /** Writes the next message, unless one is on its way or nothing waits. */
  next(): void {
    if (this.call.isSending) return;
    const message = this.queue.take();
    if (message === undefined) return;
    this.hasWritten = true;
    this.call.send(message);
  }

  /** Writes an empty message, unless another was written since the last time or is on its way. */
  beat(): void {
    if (!this.hasWritten && !this.call.isSending) this.call.send(writeFrames([]));
    this.hasWritten = false;
  }
}

/** A connection that this node has dialled: what it has to say goes over it. */
export class Dialled {
  readonly #channel: Channel;
  readonly #hello: DialOptions['hello'];
  readonly #events: DialEvents;
  readonly #senders: ReadonlyMap<Lane, LaneSender>;
  #welcome: Welcome | undefined;
  #isOver = false;

  constructor(options: DialOptions, events: DialEvents) {
    const { address, credentials, hello, rules } = options;
    this.#hello = hello;
    this.#events = events;
    this.#channel = new Channel(address, channelCredentials(credentials), {
      ...channelOptions,
      ...serverName(credentials),
    });
    const senders = new Map<Lane, LaneSender>();
    for (const lane of lanes) {
      const queue = new LaneQueue(rules[lane]);
      const call = new OutgoingCall(this.#channel, linkPath, {
        message: (bytes) => this.#greeted(lane, bytes),
        taken: () => this.#taken(lane),
        ended: (ended) => this.#end(endOf(ended)),
      });
      senders.set(lane, new LaneSender(queue, call));
      call.send(writeLinkHello({ ...hello, lane }));
    }
    this.#senders = senders;
  }

  /** Bytes that wait or are being written, of all lanes. */
  get bytes(): number {
    let bytes = 0;
    for (const { queue } of this.#senders.values()) bytes += queue.bytes;
    return bytes;
  }

  /** Frames that found no place in their lane. */
  get dropped(): number {
    let dropped = 0;
    for (const { queue } of this.#senders.values()) dropped += queue.dropped;
    return dropped;
  }

  /** Queues a frame. False: the connection has to be closed. */
  push(lane: Lane, frame: Uint8Array): boolean {
    return this.#senders.get(lane)?.queue.push(frame) ?? false;
  }

  /** Writes what is queued. */
  flush(): void {
    for (const sender of this.#senders.values()) if (sender.queue.size > 0) sender.next();
  }

  /**
   * Says that this node is there, unless a heartbeat did so since the last time. What other lanes write
   * does not count: a large message may be on its way for long.
   */
  beat(): void {
    this.#senders.get(Lane.heartbeat)?.beat();
  }

  /** Opens a snapshot's stream. */
  openSnapshot(events: OutgoingEvents): OutgoingCall {
    return new OutgoingCall(this.#channel, sendSnapshotPath, events);
  }

  /** What such a stream begins with. */
  get snapshotHello(): Hello {
    return { ...this.#hello, lane: snapshotLane };
  }

  /** Ends it; what is queued is lost. */
  close(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    for (const { call } of this.#senders.values()) call.cancel();
    this.#channel.close();
  }

  #greeted(lane: Lane, bytes: Buffer): void {
    const sender = this.#senders.get(lane);
    if (this.#isOver || sender === undefined) return;
    let welcome: Welcome;
    try {
      welcome = readLinkWelcome(bytes);
    } catch (error) {
      const refusal = refusalOfError(error);
      this.#end({ message: refusal.message, refusal });
      return;
    }
    const { node, life } = this.#welcome ?? welcome;
    if (sender.isWelcome || node !== welcome.node || life !== welcome.life) {
      this.#end({ message: 'the answers of one connection do not agree' });
      return;
    }
    this.#welcome = welcome;
    sender.isWelcome = true;
    for (const { isWelcome } of this.#senders.values()) if (!isWelcome) return;
    this.#events.up(welcome);
  }

  #taken(lane: Lane): void {
    const sender = this.#senders.get(lane);
    sender?.queue.written();
    sender?.next();
  }

  #end(end: DialEnd): void {
    if (this.#isOver) return;
    this.close();
    this.#events.down(end);
  }
}

/** The name that the other side's certificate is to bear, where it is not the host's. */
export function serverName(credentials: PeerCredentials): ChannelOptions {
  if (credentials.kind === 'insecure' || credentials.serverName === undefined) return {};
  return { 'grpc.ssl_target_name_override': credentials.serverName };
}

/** What a call's end means for the connection: its streams live and die together. */
function endOf({ code, details, metadata }: StatusObject): DialEnd {
  const said = metadata.get(refusalTrailer)[0];
  const reason = refusalReasons.find((each) => each === said);
  if (code !== status.FAILED_PRECONDITION || reason === undefined) return { message: details };
  return { message: details, refusal: { reason, message: details } };
}
