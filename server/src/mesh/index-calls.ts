import type { GroupId, LogIndex, NodeId } from '../base/ids.ts';
import type { PartitionHost } from '../partition/partition-host.ts';
import type { CoordinationItem } from '../transport/coordination-codec.ts';

/** Hears the index once; undefined: it could not be had there, now. */
export type IndexAnswer = (index: LogIndex | undefined) => void;

/** What index calls are made with. */
export interface IndexCallsOptions {
  readonly self: NodeId;
  readonly host: Pick<PartitionHost, 'readIndex'>;
  /** To a node that is connected. */
  readonly say: (to: NodeId, item: CoordinationItem) => void;
}

interface Question {
  readonly to: NodeId;
  readonly answer: IndexAnswer;
}

/**
 * How far a group's log is decided, asked of the node that leads it, which may be this one. A leader that
 * cannot be sure of itself answers nothing until it can or is deposed; a link that breaks ends its questions.
 */
export class IndexCalls {
  readonly #options: IndexCallsOptions;
  /** By number: not answered yet. */
  readonly #questions = new Map<number, Question>();
  /** By node that is connected: stands for this connection alone. */
  readonly #links = new Map<NodeId, object>();
  #lastNumber = 0;

  constructor(options: IndexCallsOptions) {
    this.#options = options;
  }

  /** Asks a node, which is this one or connected. */
  ask(to: NodeId, group: GroupId, answer: IndexAnswer): void {
    const { self, host, say } = this.#options;
    if (to === self) {
      host.readIndex(group, answer);
      return;
    }
    if (!this.#links.has(to)) {
      answer(undefined);
      return;
    }
    this.#lastNumber += 1;
    this.#questions.set(this.#lastNumber, { to, answer });
    say(to, { kind: 'read-index', call: this.#lastNumber, group });
  }

  connected(peer: NodeId): void {
    this.#links.set(peer, {});
  }

  broken(peer: NodeId): void {
    this.#links.delete(peer);
    for (const [number, { to, answer }] of [...this.#questions]) {
      if (to !== peer) continue;
      this.#questions.delete(number);
      answer(undefined);
    }
  }

  /** A node asks. Its answer is for this connection. */
  asked(peer: NodeId, call: number, group: GroupId): void {
    const { host, say } = this.#options;
    const link = this.#links.get(peer);
    host.readIndex(group, (index) => {
      if (link === undefined || this.#links.get(peer) !== link) return;
      say(peer, { kind: 'index-answer', call, index });
    });
  }

  answered(from: NodeId, call: number, index: LogIndex | undefined): void {
    const question = this.#questions.get(call);
    if (question?.to !== from) return;
    this.#questions.delete(call);
    question.answer(index);
  }
}
