import type { NodeId } from '../base/ids.ts';
import type { CoordinationItem } from '../transport/coordination-codec.ts';

/** Hears the answer once; undefined: it could not be had there, now. */
export type PeerAnswer<A> = (answer: A | undefined) => void;

interface Question<A> {
  readonly to: NodeId;
  readonly answer: PeerAnswer<A>;
}

/** Questions to other nodes. A link that breaks ends its questions, and takes the answers that were for it. */
export class PeerCalls<A> {
  readonly #say: (to: NodeId, item: CoordinationItem) => void;
  /** By number: not answered yet. */
  readonly #questions = new Map<number, Question<A>>();
  /** By node that is connected: stands for this connection alone. */
  readonly #links = new Map<NodeId, object>();
  #lastNumber = 0;

  /** `say`: to a node that is connected. */
  constructor(say: (to: NodeId, item: CoordinationItem) => void) {
    this.#say = say;
  }

  /** Asks a node; one that is not connected answers nothing. */
  ask(to: NodeId, item: (call: number) => CoordinationItem, answer: PeerAnswer<A>): void {
    if (!this.#links.has(to)) {
      answer(undefined);
      return;
    }
    this.#lastNumber += 1;
    this.#questions.set(this.#lastNumber, { to, answer });
    this.#say(to, item(this.#lastNumber));
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

  /** How a node that asks now is answered: over this connection alone, since after it the number is another's. */
  reply(peer: NodeId): (item: CoordinationItem) => void {
    const link = this.#links.get(peer);
    return (item) => {
      if (link !== undefined && this.#links.get(peer) === link) this.#say(peer, item);
    };
  }

  answered(from: NodeId, call: number, answer: A | undefined): void {
    const question = this.#questions.get(call);
    if (question?.to !== from) return;
    this.#questions.delete(call);
    question.answer(answer);
  }
}
