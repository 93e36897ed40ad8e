/** Writes the lines of an export (`export-line.ts`) into a cluster, and knows of each line what became of it. */
import { createReadStream } from 'node:fs';
import { appendFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { type Client, TupletError } from '@tuplet/client';
import { BackupError } from './backup-error.ts';
import { type ExportLine, parseLine } from './export-line.ts';

/** Lines that are on their way at once. */
const batchLinesMax = 500;
/** Characters of them, but for one line of any length. */
const batchTextMax = 1_048_576;
/** Milliseconds until a line that nobody answers is given up. */
const lineMsMax = 60_000;

/** How a file is imported. */
export interface ImportOptions {
  readonly file: string;
  /** Where all tuples go, whatever the lines say; undefined: where they say. */
  readonly space: string | undefined;
  /** The lines up to here are passed over. */
  readonly after: number;
  readonly signal: AbortSignal;
  readonly onProgress: (done: Imported) => void;
}

/** How far an import got. */
export interface Imported {
  /** The last line that was looked at; all before it were. */
  readonly line: number;
  readonly tuples: number;
  /** Tuples whose lease is over. */
  readonly ended: number;
  /** What stopped it. */
  readonly failure?: ImportFailure;
}

/** Lines that were not, or perhaps not, imported; they are in a file of their own. */
export interface ImportFailure {
  readonly file: string;
  readonly lines: number;
  /** Of these it is not known whether they were. */
  readonly uncertain: number;
  /** The first of them, and what was said. */
  readonly firstLine: number;
  readonly message: string;
}

/** A line on its way. */
interface Line {
  readonly number: number;
  readonly text: string;
}

/** What became of it. */
type Fate = 'written' | 'ended' | 'created' | Error;

/** Imports until the file ends, or a batch has lines that failed. Rejects where the file cannot be read. */
export async function importFile(client: Client, options: ImportOptions): Promise<Imported> {
  let done: Imported = { line: options.after, tuples: 0, ended: 0 };
  for await (const batch of batchesOf(options)) {
    const fates = await importBatch(client, batch, options);
    const count = (fate: Fate): number => fates.filter((each) => each === fate).length;
    done = {
      line: batch.at(-1)?.number ?? done.line,
      tuples: done.tuples + count('written'),
      ended: done.ended + count('ended'),
    };
    const failure = await failureOf(batch, fates, options);
    if (failure !== undefined) return { ...done, failure };
    options.onProgress(done);
  }
  return done;
}

async function* batchesOf({ file, after }: ImportOptions): AsyncGenerator<readonly Line[]> {
  const input = createReadStream(file);
  const lines = createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY });
  let batch: Line[] = [];
  let size = 0;
  let number = 0;
  for await (const text of lines) {
    number += 1;
    if (number <= after || text.trim() === '') continue;
    if (batch.length > 0 && (batch.length >= batchLinesMax || size + text.length > batchTextMax)) {
      yield batch;
      batch = [];
      size = 0;
    }
    batch.push({ number, text });
    size += text.length;
  }
  if (batch.length > 0) yield batch;
  if (number < after) throw new BackupError(`${file} has ${number} lines, fewer than ${after}`);
}

/** Tuples of a partition keep the order of their lines: they go over one connection, one after the other. */
async function importBatch(
  client: Client,
  batch: readonly Line[],
  options: ImportOptions,
): Promise<Fate[]> {
  const fates: Promise<Fate>[] = [];
  for (const { text } of batch) {
    let line: ExportLine;
    try {
      line = parseLine(text);
    } catch (error) {
      if (!(error instanceof TypeError)) throw error;
      fates.push(Promise.resolve(error));
      continue;
    }
    const fate = importLine(client, line, options);
    fates.push(fate);
    // Tuples of a space come after it.
    if (line.kind === 'space') await fate;
  }
  return await Promise.all(fates);
}

async function importLine(
  client: Client,
  line: ExportLine,
  { space, signal }: ImportOptions,
): Promise<Fate> {
  const options = { signal, timeoutMs: lineMsMax };
  try {
    if (line.kind === 'space') {
      if (space === undefined) await create(client, line, options);
      return 'created';
    }
    const leaseMs = line.leaseEndMs === undefined ? undefined : line.leaseEndMs - Date.now();
    if (leaseMs !== undefined && leaseMs <= 0) return 'ended';
    const lease = leaseMs === undefined ? {} : { leaseMs };
    await client.space(space ?? line.space).write(line.tuple, { ...options, ...lease });
    return 'written';
  } catch (error) {
    return TupletError.from(error);
  }
}

async function create(
  client: Client,
  { space, settings }: ExportLine & { readonly kind: 'space' },
  options: { readonly signal: AbortSignal; readonly timeoutMs: number },
): Promise<void> {
  try {
    await client.admin.createSpace(space, settings, options);
  } catch (error) {
    if (!(error instanceof TupletError) || error.reason !== 'SPACE_EXISTS') throw error;
  }
}

/** Lines that failed go to a file beside the other one, so that they can be imported when the reason is gone. */
async function failureOf(
  batch: readonly Line[],
  fates: readonly Fate[],
  { file }: ImportOptions,
): Promise<ImportFailure | undefined> {
  const failed = batch.flatMap((line, at) => {
    const fate = fates[at];
    return fate instanceof Error ? [{ ...line, error: fate }] : [];
  });
  const [first] = failed;
  if (first === undefined) return undefined;
  const left = `${file}.failed`;
  await appendFile(left, failed.map(({ text }) => `${text}\n`).join(''));
  const uncertain = failed.filter(({ error }) => error instanceof TupletError && !error.definite);
  return {
    file: left,
    lines: failed.length,
    uncertain: uncertain.length,
    firstLine: first.number,
    message: first.error.message,
  };
}
