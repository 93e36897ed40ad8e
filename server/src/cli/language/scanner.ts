/** A text that does not say a tuple or a template: where, and what to write instead. */
export class LanguageError extends Error {
  override readonly name = 'LanguageError';
  /** Position in the text, from 0. */
  readonly position: number;

  constructor(message: string, text: string, position: number) {
    super(`${message}\n  ${text}\n  ${' '.repeat(position)}^`);
    this.position = position;
  }
}

/** A word or a quoted text: what values are made of. */
export interface Atom {
  readonly text: string;
  readonly quoted: boolean;
  readonly position: number;
}

/** Characters that end a bare word; `..` ends one, too. */
const stops = ',|;[]{}:"';

/** Reads a text from left to right. */
export class Scanner {
  readonly text: string;
  #position = 0;

  constructor(text: string) {
    this.text = text;
  }

  get position(): number {
    return this.#position;
  }

  /** Whether nothing but blanks is left. */
  get ended(): boolean {
    this.blanks();
    return this.#position >= this.text.length;
  }

  blanks(): void {
    while (/\s/.test(this.text.charAt(this.#position))) this.#position++;
  }

  /** Takes `sign` if it comes next. */
  accept(sign: string): boolean {
    this.blanks();
    if (!this.text.startsWith(sign, this.#position)) return false;
    this.#position += sign.length;
    return true;
  }

  /** Takes `sign`, which must come next. */
  expect(sign: string): void {
    if (!this.accept(sign)) this.fail(`expected ${sign}`);
  }

  /** Whether `sign` comes next. */
  sees(sign: string): boolean {
    this.blanks();
    return this.text.startsWith(sign, this.#position);
  }

  /** The next word or quoted text. */
  atom(): Atom {
    this.blanks();
    const position = this.#position;
    if (this.sees('"')) return { text: this.#quoted(), quoted: true, position };
    let end = position;
    while (end < this.text.length && !this.#ends(end)) end++;
    const text = this.text.slice(position, end).trimEnd();
    if (text === '') this.fail('expected a value');
    if (/\s/.test(text)) this.fail('a text with blanks needs double quotes', position);
    this.#position = end;
    return { text, quoted: false, position };
  }

  fail(message: string, position: number = this.#position): never {
    throw new LanguageError(message, this.text, position);
  }

  #ends(position: number): boolean {
    return stops.includes(this.text.charAt(position)) || this.text.startsWith('..', position);
  }

  /** A JSON string. */
  #quoted(): string {
    const match = /^"(?:[^"\\]|\\.)*"/s.exec(this.text.slice(this.#position));
    if (match === null) this.fail('the quote is not closed');
    try {
      const text: unknown = JSON.parse(match[0]);
      if (typeof text !== 'string') this.fail('expected a quoted text');
      this.#position += match[0].length;
      return text;
    } catch (cause) {
      if (cause instanceof LanguageError) throw cause;
      return this.fail('not a JSON string: escape with \\" \\\\ \\n \\t \\u0000');
    }
  }
}
