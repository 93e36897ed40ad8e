import type { TupletError } from '../error.ts';
import { Alarm } from './alarm.ts';
import { isSurelyUndone } from './certainty.ts';
import type { EngineDoors } from './doors.ts';
import { envelopeBytesMax } from './envelope.ts';
import { bodyBytes, Lanes } from './lanes.ts';
import { clientLimits } from './limits.ts';
import type { LinkOwner } from './link.ts';
import { Links } from './links.ts';
import type { Operation } from './operation.ts';
import { Outcomes } from './outcomes.ts';
import * as reasons from './reasons.ts';
import { Sender } from './sender.ts';
import { Sessions } from './sessions.ts';

/** What an engine may be told. */
export interface EngineOptions {
  /** The lease of its sessions, in milliseconds, 1,000 to 3,600,000; default 10,000. */
  readonly leaseMs?: number;
  /** A name for people, up to 128 bytes; default none. */
  readonly name?: string;
  /** Operations that may wait to be sent; default 65,536. */
  readonly queuedMax?: number;
  /** Replies of one message from which it is heard in two turns; default 48. */
  readonly repliesHalvedMin?: number;
}

/**
 * One client of one cluster: see DESIGN.md. Synchronous; `start`, `cancel` and `close` may be called
 * from anywhere, `succeed` and `fail` of an operation too.
 */
export class Engine {
  readonly #doors: EngineDoors;
  readonly #lanes: Lanes;
  readonly #links: Links;
  readonly #sessions: Sessions;
  readonly #alarm: Alarm;
  readonly #sender: Sender;
  readonly #outcomes: Outcomes;
  #flushAsked = false;
  #state: 'open' | 'draining' | 'closed' = 'open';
  #closeByMs = Number.POSITIVE_INFINITY;
  #closed: (() => void)[] = [];

  constructor(doors: EngineDoors, options: EngineOptions = {}) {
    const { clock, random } = doors;
    const { leaseMs = clientLimits.leaseDefaultMs, name = '' } = options;
    const wantFlush = (): void => this.#wantFlush();
    this.#doors = doors;
    this.#lanes = new Lanes(options.queuedMax ?? clientLimits.queuedMax);
    this.#alarm = new Alarm(clock, () => this.#ring());
    const linkOwner: LinkOwner = {
      arriving: (nowMs) => this.#sessions.giveUpOver(nowMs),
      answered: (operation, reply, bytes, nowMs) =>
        this.#outcomes.answered(operation, reply, bytes, nowMs),
      lost: (operation, error) => this.#outcomes.lost(operation, error),
      topology: (_link, _message, nowMs) => {
        // Somebody may be suspected by now.
        this.#alarm.by(this.#links.nextWatchMs(), nowMs);
        wantFlush();
      },
      broken: (_link, error, nowMs) => this.#broken(error, nowMs),
      writable: wantFlush,
    };
    const halvedMin = options.repliesHalvedMin ?? clientLimits.repliesHalvedMin;
    this.#links = new Links(doors, linkOwner, halvedMin);
    this.#sessions = new Sessions(
      this.#links,
      random,
      { leaseMs, name },
      {
        ended: (operations, cause) => this.#outcomes.ended(operations, cause),
        received: (operation) => this.#outcomes.settle(operation),
        refused: (lane, error) => this.#outcomes.refuse(lane, error),
        wantFlush,
        wakeBy: (atMs) => this.#alarm.by(atMs, clock.nowMs()),
      },
    );
    const shared = {
      clock,
      random,
      lanes: this.#lanes,
      links: this.#links,
      sessions: this.#sessions,
      alarm: this.#alarm,
      wantFlush,
    };
    this.#sender = new Sender(shared);
    const isOpen = (): boolean => this.#state === 'open';
    this.#outcomes = new Outcomes({ ...shared, sender: this.#sender, isOpen });
  }

  /** How many operations are under way: waiting to be sent, sent, or waiting for their receipts. */
  get underWay(): number {
    return this.#lanes.underWay;
  }

  /** Starts an operation. It is settled later, or at once where it is refused. */
  start(operation: Operation): void {
    const refusal = this.#refusalOf(operation);
    if (refusal !== undefined) {
      operation.fail(refusal);
      return;
    }
    const nowMs = this.#doors.clock.nowMs();
    operation.waitEndMs = nowMs + operation.waitMs;
    operation.deadlineMs = nowMs + operation.timeoutMs;
    this.#lanes.add(operation);
    this.#alarm.by(operation.deadlineMs, nowMs);
    this.#wantFlush();
  }

  #refusalOf(operation: Operation): TupletError | undefined {
    if (this.#state !== 'open') return reasons.clientClosed(true);
    const bytes = bodyBytes(operation);
    const bytesMax = clientLimits.messageBytesMax - envelopeBytesMax;
    if (bytes > bytesMax) return reasons.requestTooLarge(bytes, bytesMax);
    const fullness = this.#lanes.fullness(bytes);
    return fullness === undefined ? undefined : reasons.clientBusy(fullness);
  }

  /**
   * Cancels an operation, for `cause`. A take that was sent is settled when the server has answered
   * "cancelled" or the tuple; anything else fails at once.
   */
  cancel(operation: Operation, cause?: unknown): void {
    this.#outcomes.cancel(operation, cause);
  }

  /**
   * Ends everything: cancels blocked calls, lets the others finish, confirms receipts, closes the
   * sessions, for at most 2 s; then calls `done`.
   */
  close(done: () => void): void {
    if (this.#state === 'closed') {
      done();
      return;
    }
    this.#closed.push(done);
    if (this.#state === 'draining') return;
    this.#state = 'draining';
    const nowMs = this.#doors.clock.nowMs();
    this.#closeByMs = nowMs + clientLimits.closeTimeoutMs;
    this.#alarm.by(this.#closeByMs, nowMs);
    for (const lane of this.#lanes.all) {
      for (const operation of [...lane.queue]) {
        if (operation.stage !== 'queued') continue;
        this.#outcomes.fail(operation, reasons.clientClosed(isSurelyUndone(operation)));
      }
      for (const operation of lane.open.values()) {
        if (operation.kind.waitField > 0) this.cancel(operation, reasons.clientClosed(true));
      }
    }
    this.#wantFlush();
  }

  // Turns

  #wantFlush(): void {
    if (this.#flushAsked || this.#state === 'closed') return;
    this.#flushAsked = true;
    this.#doors.clock.soon(this.#flushNow, this.#mayHurry);
  }

  readonly #flushNow = (): void => {
    this.#flushAsked = false;
    this.#flush(this.#doors.clock.nowMs());
    // Not even a batch of nothing hurries twice after one message: sockets would not be read meanwhile.
    this.#links.batchDone();
  };

  /**
   * What comes while the server is still silent on the last batch waits for the end of the turn: many
   * events of one turn that each start a call make one batch, or two.
   */
  readonly #mayHurry = (): boolean => this.#links.isHeard;

  #flush(nowMs: number): void {
    if (this.#state === 'closed') return;
    this.#sessions.giveUpOver(nowMs);
    if (this.#state === 'draining') {
      for (const session of this.#sessions) session.retiring = true;
      if (this.#isDrained(nowMs)) {
        this.#finish();
        return;
      }
    }
    this.#sender.flush(nowMs);
  }

  #broken(error: TupletError, nowMs: number): void {
    this.#sessions.broken(nowMs);
    if (!error.retryable && !this.#links.isUp) {
      for (const lane of this.#lanes.all) this.#outcomes.refuse(lane, error);
    }
    if (this.#sessions.size > 0) this.#alarm.by(this.#links.retryAtMs, nowMs);
    this.#wantFlush();
  }

  // Time

  #ring(): void {
    const nowMs = this.#doors.clock.nowMs();
    this.#sessions.giveUpOver(nowMs);
    this.#sessions.repeatReceipts(nowMs);
    for (const lane of this.#lanes.all) {
      for (const operation of [...lane.queue]) this.#look(operation, nowMs);
      for (const operation of lane.open.values()) this.#look(operation, nowMs);
    }
    this.#links.watch(nowMs);
    this.#flush(nowMs);
    if (this.#state === 'closed') return;
    this.#alarm.by(this.#nextAtMs(nowMs), nowMs);
  }

  #look(operation: Operation, nowMs: number): void {
    if (operation.stage === 'settled') return;
    if (operation.deadlineMs <= nowMs) this.#outcomes.late(operation);
    else if (operation.stage === 'backing-off' && operation.retryAtMs <= nowMs) {
      this.#sender.again(operation);
    }
  }

  #nextAtMs(nowMs: number): number {
    const links = this.#links;
    let atMs = Math.min(this.#sessions.nextAtMs(nowMs), this.#closeByMs, links.nextWatchMs());
    if (!links.isUp && links.retryAtMs > nowMs && this.#sender.wantsToSend(nowMs)) {
      atMs = Math.min(atMs, links.retryAtMs);
    }
    for (const lane of this.#lanes.all) {
      if (lane.queue.size > 0 && lane.openAtMs > nowMs) atMs = Math.min(atMs, lane.openAtMs);
      for (const operation of lane.queue) {
        // What has failed meanwhile leaves the queue with the next sending; its deadline is past.
        if (operation.stage === 'queued') atMs = Math.min(atMs, operation.deadlineMs);
      }
      for (const operation of lane.open.values()) {
        atMs = Math.min(atMs, operation.deadlineMs);
        if (operation.stage === 'backing-off') atMs = Math.min(atMs, operation.retryAtMs);
      }
    }
    return Math.max(atMs, nowMs);
  }

  // Closing

  #isDrained(nowMs: number): boolean {
    if (nowMs >= this.#closeByMs) return true;
    return this.#sessions.size === 0 && this.#lanes.all.every((lane) => lane.open.size === 0);
  }

  #finish(): void {
    for (const lane of this.#lanes.all) {
      for (const operation of lane.open.values()) {
        this.#outcomes.fail(operation, reasons.clientClosed(!operation.kind.mutates));
      }
    }
    this.#state = 'closed';
    this.#alarm.stop();
    this.#links.close();
    const closed = this.#closed;
    this.#closed = [];
    for (const done of closed) done();
  }
}
