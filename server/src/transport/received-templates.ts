import {
  compileTemplate,
  equalBytes,
  hash32,
  isProblem,
  malformed,
  type Reader,
  type Run,
  type Template,
} from '@tuplet/proto';
import { KeptBytes } from '../base/kept-bytes.ts';
import { keptBytesMax, lastingTargetsMax } from '../base/limits.ts';

/** Reads templates that other nodes sent. They are held to everything that SPEC §2 says. */
export interface TemplateReader {
  /** Reads a template with its length before it. */
  template(reader: Reader): Template;
}

/** Templates that stay where they are: what is read is nobody else's memory already. */
export const templatesInPlace: TemplateReader = {
  template(reader) {
    const start = reader.advance(reader.length());
    return compiled({ bytes: reader.bytes, start, end: reader.position });
  },
};

/** Templates of calls that do not wait; small ones lie side by side. */
export class PassingTemplates implements TemplateReader {
  readonly #kept = new KeptBytes();

  template(reader: Reader): Template {
    return compiled(this.#kept.keep(reader.lengthDelimited()));
  }
}

/**
 * Templates of calls that wait. Workers of one pool wait with one template over and over: they share one
 * object, which is compiled once, and which a tuple is held against once for all of them. Each bucket
 * remembers the last that fell into it.
 */
export class LastingTemplates implements TemplateReader {
  readonly #kept = new KeptBytes();
  readonly #known: (Template | undefined)[] = new Array(lastingTargetsMax).fill(undefined);

  template(reader: Reader): Template {
    const source = reader.lengthDelimited();
    const { length } = source;
    if (length > keptBytesMax) return compiled(this.#kept.keep(source));
    const bucket = hash32(source) % lastingTargetsMax;
    const known = this.#known[bucket];
    if (known !== undefined) {
      const { bytes, start, end } = known;
      if (equalBytes(bytes, start, end, source, 0, length)) return known;
    }
    const template = compiled(this.#kept.keep(source));
    this.#known[bucket] = template;
    return template;
  }
}

function compiled({ bytes, start, end }: Run): Template {
  const template = compileTemplate(bytes, start, end);
  if (!isProblem(template)) return template;
  throw malformed(`a template is refused: ${template.field}: ${template.message}`);
}
