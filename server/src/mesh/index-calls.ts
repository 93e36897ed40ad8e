import type { GroupId, LogIndex, NodeId } from '../base/ids.ts';
import type { PartitionHost } from '../partition/partition-host.ts';
import type { CoordinationItem } from '../transport/coordination-codec.ts';
import { type PeerAnswer, PeerCalls } from './peer-calls.ts';

/** Hears the index once; undefined: it could not be had there, now. */
export type IndexAnswer = PeerAnswer<LogIndex>;

/** What index calls are made with. */
export interface IndexCallsOptions {
  readonly self: NodeId;
  readonly host: Pick<PartitionHost, 'readIndex'>;
  /** To a node that is connected. */
  readonly say: (to: NodeId, item: CoordinationItem) => void;
}

/**
 * How far a group's log is decided, asked of the node that leads it, which may be this one. A leader that
 * cannot be sure of itself answers nothing until it can or is deposed.
 */
export class IndexCalls {
  readonly #options: IndexCallsOptions;
  readonly #calls: PeerCalls<LogIndex>;

  constructor(options: IndexCallsOptions) {
    this.#options = options;
    this.#calls = new PeerCalls(options.say);
  }

  /** Asks a node, which is this one or connected. */
  ask(to: NodeId, group: GroupId, answer: IndexAnswer): void {
    const { self, host } = this.#options;
    if (to === self) host.readIndex(group, answer);
    else this.#calls.ask(to, (call) => ({ kind: 'read-index', call, group }), answer);
  }

  connected(peer: NodeId): void {
    this.#calls.connected(peer);
  }

  broken(peer: NodeId): void {
    this.#calls.broken(peer);
  }

  /** A node asks. */
  asked(peer: NodeId, call: number, group: GroupId): void {
    const reply = this.#calls.reply(peer);
    this.#options.host.readIndex(group, (index) => reply({ kind: 'index-answer', call, index }));
  }

  answered(from: NodeId, call: number, index: LogIndex | undefined): void {
    this.#calls.answered(from, call, index);
  }
}
