import type { Cancel, Clock } from '../base/doors.ts';
import type { LogIndex, NodeId } from '../base/ids.ts';
import { mapAgainMs, mapLookMs } from '../base/limits.ts';
import type { ClusterMap } from '../cluster/cluster-map.ts';
import type { IndexAnswer } from './index-calls.ts';

/** What looks at the map are made with. */
export interface MapLooksOptions {
  readonly clock: Clock;
  /** The map as this node has it. */
  readonly map: Pick<ClusterMap, 'appliedIndex'>;
  /** The node that leads group 0, as far as this one knows and can reach it. */
  readonly leader: () => NodeId | undefined;
  /** Asks it how far the map is decided. */
  readonly ask: (to: NodeId, answer: IndexAnswer) => void;
}

/** Hears once whether this node's map has become one that is linearizable at some moment of the look. */
export type LookEnd = (isSeen: boolean) => void;

interface Look {
  readonly run: LookEnd;
  readonly untilMs: number;
}

/** A question of the leader: whom it is for, and what its answer was. */
interface Round {
  looks: readonly Look[];
  index: LogIndex | undefined;
}

/**
 * Linearizable looks at the cluster map (SPEC §6): the leader of group 0 says how far its log is decided, and
 * this node has applied that far. One question serves all who came before it left; who comes later waits for
 * the next. A look is bounded in time, and their number by the calls that may be open.
 */
export class MapLooks {
  readonly #options: MapLooksOptions;
  /** Those who came since the last question left. */
  #waiting: Look[] = [];
  /** The question that is not answered yet. */
  #asked: Round | undefined;
  /** Answered, and not applied that far here. In order of index. */
  #behind: Round[] = [];
  #cancelTick: Cancel | undefined;

  constructor(options: MapLooksOptions) {
    this.#options = options;
  }

  look(run: LookEnd): void {
    const { clock } = this.#options;
    this.#waiting.push({ run, untilMs: clock.monotonicMs() + mapLookMs });
    this.#ask();
    this.#arm();
  }

  /** The map has changed. */
  changed(): void {
    this.#settle();
  }

  /** Another node leads the map: whoever was asked before may not answer for long. */
  newLeader(): void {
    this.#askAgain();
    this.#ask();
  }

  #ask(): void {
    const to = this.#options.leader();
    if (this.#asked !== undefined || this.#waiting.length === 0 || to === undefined) return;
    const round: Round = { looks: this.#waiting, index: undefined };
    this.#waiting = [];
    this.#asked = round;
    this.#options.ask(to, (index) => this.#answered(round, index));
  }

  #answered(round: Round, index: LogIndex | undefined): void {
    if (this.#asked !== round) return;
    if (index === undefined) {
      // With the next tick: whoever refused may be able by then.
      this.#askAgain();
      return;
    }
    this.#asked = undefined;
    round.index = index;
    this.#behind.push(round);
    this.#settle();
    this.#ask();
  }

  #askAgain(): void {
    this.#waiting = [...(this.#asked?.looks ?? []), ...this.#waiting];
    this.#asked = undefined;
  }

  #settle(): void {
    const { map } = this.#options;
    const seen = this.#behind.filter(({ index }) => (index ?? 0) <= map.appliedIndex);
    if (seen.length === 0) return;
    this.#behind = this.#behind.filter((round) => !seen.includes(round));
    for (const { looks } of seen) for (const { run } of looks) run(true);
  }

  #arm(): void {
    if (this.#cancelTick !== undefined) return;
    this.#cancelTick = this.#options.clock.after(mapAgainMs, () => this.#tick());
  }

  #tick(): void {
    this.#cancelTick = undefined;
    this.#expire();
    this.#ask();
    const isIdle = this.#waiting.length + this.#behind.length === 0 && this.#asked === undefined;
    if (!isIdle) this.#arm();
  }

  /** Those whose time is over are told so. */
  #expire(): void {
    const now = this.#options.clock.monotonicMs();
    const late: Look[] = [];
    const inTime = (looks: readonly Look[]): Look[] =>
      looks.filter((look) => {
        if (look.untilMs > now) return true;
        late.push(look);
        return false;
      });
    this.#waiting = inTime(this.#waiting);
    if (this.#asked !== undefined) this.#asked.looks = inTime(this.#asked.looks);
    for (const round of this.#behind) round.looks = inTime(round.looks);
    this.#behind = this.#behind.filter(({ looks }) => looks.length > 0);
    for (const { run } of late) run(false);
  }
}
