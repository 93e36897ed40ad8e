/** Writes a history: gives the lines their ids and times, in the order the format asks for. */
import type { ArgumentsJson, EventJson, Line, OutcomeJson, ResultJson } from './history.ts';

/** Takes lines as they come; owned by the run. */
export class Recorder {
  readonly #nowNs: () => number;
  readonly #write: (line: Line) => void;
  readonly #open = new Map<number, { readonly process: string; readonly operation: string }>();
  #operations = 0;

  /** `nowNs`: the run's clock; `write` gets each line at once. */
  constructor(nowNs: () => number, write: (line: Line) => void) {
    this.#nowNs = nowNs;
    this.#write = write;
  }

  /** How many operations were invoked. */
  get operations(): number {
    return this.#operations;
  }

  start(settings: { readonly [name: string]: unknown }): void {
    this.#write({ kind: 'start', format: 1, time: this.#nowNs(), settings });
  }

  /** Before the request can leave; returns the operation's id. */
  invoke(process: string, operation: string, asked: ArgumentsJson): number {
    const id = ++this.#operations;
    this.#open.set(id, { process, operation });
    this.#write({
      kind: 'invoke',
      id,
      process,
      operation,
      arguments: asked,
      time: this.#nowNs(),
    });
    return id;
  }

  /** When the application has the answer; a second answer is passed over. */
  complete(id: number, outcome: OutcomeJson, result: ResultJson, session?: number): void {
    const open = this.#open.get(id);
    if (open === undefined) return;
    this.#open.delete(id);
    const of = session === undefined ? {} : { session };
    this.#write({ kind: 'complete', id, ...open, ...of, outcome, result, time: this.#nowNs() });
  }

  event(id: number, process: string, event: EventJson): void {
    this.#write({ kind: 'event', id, process, time: this.#nowNs(), event });
  }

  cursor(id: number, process: string): void {
    this.#write({ kind: 'cursor', id, process, time: this.#nowNs() });
  }

  /** The session of a process, or the one named, may be over from now on. */
  end(process: string, reason: 'closed' | 'lost' | 'killed', session?: number): void {
    const of = session === undefined ? {} : { session };
    this.#write({ kind: 'end', process, ...of, time: this.#nowNs(), reason });
  }

  fault(fault: string, what: { readonly process?: string; readonly forMs?: number } = {}): void {
    this.#write({ kind: 'fault', fault, time: this.#nowNs(), ...what });
  }

  quiet(): void {
    this.#write({ kind: 'quiet', time: this.#nowNs() });
  }
}
