import { PayloadMemory } from './payload-memory.ts';
import { LastingTemplates, PassingTemplates, type TemplateReader } from './received-templates.ts';

/**
 * Where that of received messages lies which is kept for longer than the batch that brought it: grpc-js
 * gives out views of larger buffers. One for all batches of a node.
 */
export class CoordinationMemory {
  /** Tuples, and what else came with them. */
  readonly payloads: PayloadMemory = new PayloadMemory();
  readonly #lasting = new LastingTemplates();
  readonly #passing = new PassingTemplates();

  /** Of calls that wait, or do not. */
  templates(waits: boolean): TemplateReader {
    return waits ? this.#lasting : this.#passing;
  }
}
