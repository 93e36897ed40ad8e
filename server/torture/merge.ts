/** Puts the files of a round's processes together into one history. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { NotifyPosition } from '@tuplet/client';
import type { Line } from '../sim/check/history.ts';

/** Ends the names of files that hold lines of the history. */
export const linesSuffix = '.lines';
/** Ends the names of files that hold entries of a stream. */
export const streamSuffix = '.stream';

/** What a stream's process writes at once: lines, and from where another process goes on after them. */
export interface StreamEntry {
  readonly lines: readonly Line[];
  /** The cursor in base64, and the places; null before the first cursor. */
  readonly position: {
    readonly cursor: string;
    readonly seen: NotifyPosition['seen'];
  } | null;
}

/** The whole lines of a file that a killed process may have left with half a line at its end. */
function wholeLines(text: string): string[] {
  return text
    .slice(0, text.lastIndexOf('\n') + 1)
    .split('\n')
    .slice(0, -1);
}

/** The lines of one process. */
export function parseJournal(text: string): Line[] {
  return wholeLines(text).map((line) => JSON.parse(line) as Line);
}

/** The entries of one stream, over all processes that wrote it. */
export function parseStream(text: string): StreamEntry[] {
  const entries: StreamEntry[] = [];
  for (const line of wholeLines(text)) {
    const entry = entryOf(line);
    if (entry !== undefined) entries.push(entry);
  }
  return entries;
}

/** Undefined for half an entry: its writer was killed, and the next one began a line of its own. */
function entryOf(line: string): StreamEntry | undefined {
  try {
    return JSON.parse(line) as StreamEntry;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

/** What a stream's file holds; nothing where there is none. */
export function readStream(path: string): StreamEntry[] {
  return existsSync(path) ? parseStream(readFileSync(path, 'utf8')) : [];
}

/** All lines in the folder and `more`, in order of time; lines of one file keep their order. */
export function mergeFolder(folder: string, more: readonly Line[]): Line[] {
  const lines: Line[] = [...more];
  for (const name of readdirSync(folder).sort()) {
    const path = join(folder, name);
    if (name.endsWith(linesSuffix)) lines.push(...parseJournal(readFileSync(path, 'utf8')));
    if (name.endsWith(streamSuffix))
      lines.push(...readStream(path).flatMap((entry) => entry.lines));
  }
  return lines.sort((left, right) => left.time - right.time);
}
