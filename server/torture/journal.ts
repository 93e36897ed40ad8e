/** What one process writes of the history: lines that are in its file before it goes on. */
import { openSync, writeSync } from 'node:fs';
import { performance } from 'node:perf_hooks';
import type { Line } from '../sim/check/history.ts';
import { Recorder } from '../sim/check/recorder.ts';

const nsPerMs = 1_000_000;
/** Silence of a loop that ticks, in nanoseconds, that is written down: it may have cost a session. */
const gapNs = 200 * nsPerMs;
/** Milliseconds between two ticks. */
const tickMs = 50;
/** Ids of operations that one process may use. */
const idsPerProcess = 1_000_000;

/** The time of the history: CLOCK_MONOTONIC in nanoseconds, the same in all processes of the machine. */
export function nowNs(): number {
  return Number(process.hrtime.bigint());
}

/** What a journal asks of the process it runs in; tests have their own. */
export interface JournalDoors {
  nowNs(): number;
  /** Milliseconds that the event loop has waited for something to do. */
  idleMs(): number;
  write(text: string): void;
  /** Runs when everything that runs now is done. */
  soon(run: () => void): void;
}

/** Appends to a file; a line is with the kernel when `write` returns, and survives a SIGKILL. */
export function fileDoors(path: string): JournalDoors {
  const file = openSync(path, 'a');
  return {
    nowNs,
    idleMs: () => performance.nodeTiming.idleTime,
    write: (text) => {
      writeSync(file, text);
    },
    soon: (run) => {
      setImmediate(run);
    },
  };
}

/** Ids of a process, and sessions, which bear ids of operations, as all processes know them. */
function renumbered(line: Line, firstId: number): Line {
  const told = 'id' in line ? { ...line, id: firstId + line.id } : line;
  if (!('session' in told) || told.session === undefined) return told;
  return { ...told, session: firstId + told.session };
}

/**
 * The file of one client process. It notices by itself where its process stood still, and says so in a
 * `pause` line that begins with the last sign of life: from there on its sessions may be over.
 */
export class Journal {
  readonly recorder: Recorder;
  readonly #doors: JournalDoors;
  readonly #process: string;
  #aliveNs: number;
  #idleMs: number;
  #heldUpMs = 0;

  /** `ordinal` tells the processes of a history apart, from 0. */
  constructor(doors: JournalDoors, name: string, ordinal: number) {
    this.#doors = doors;
    this.#process = name;
    this.#aliveNs = doors.nowNs();
    this.#idleMs = doors.idleMs();
    const firstId = ordinal * idsPerProcess;
    this.recorder = new Recorder(
      () => this.#timeNs(),
      (line) => this.#write(renumbered(line, firstId)),
    );
  }

  /** Notices pauses from now on. */
  startTicking(): void {
    setInterval(() => this.tick(), tickMs).unref();
  }

  /** A sign of life. */
  tick(): void {
    this.#timeNs();
  }

  /**
   * Milliseconds for which the turn that runs now was stopped in its middle; 0: it was not. What the
   * SDK hands out in such a turn it looked at before the stop; what it hands out in a turn that began
   * after a stop it must have looked at then.
   */
  get heldUpMs(): number {
    this.#timeNs();
    return this.#heldUpMs;
  }

  #timeNs(): number {
    const timeNs = this.#doors.nowNs();
    const idleMs = this.#doors.idleMs();
    const aliveNs = this.#aliveNs;
    const silentNs = timeNs - aliveNs;
    const idleNs = (idleMs - this.#idleMs) * nsPerMs;
    this.#aliveNs = timeNs;
    this.#idleMs = idleMs;
    if (silentNs <= gapNs) return timeNs;
    const forMs = Math.ceil(silentNs / nsPerMs);
    const pause = { kind: 'fault', fault: 'pause', process: this.#process, forMs } as const;
    this.#write({ ...pause, time: aliveNs });
    if (idleNs < silentNs / 2) {
      this.#heldUpMs = forMs;
      this.#doors.soon(() => {
        this.#heldUpMs = 0;
      });
    }
    return timeNs;
  }

  #write(line: Line): void {
    this.#doors.write(`${JSON.stringify(line)}\n`);
  }
}
