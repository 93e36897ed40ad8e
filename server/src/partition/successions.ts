import type { Random } from '../base/doors.ts';
import { successionJitterMs, successionStepMs, successionTriesMax } from '../base/limits.ts';
import { votersOf } from '../raft/configuration.ts';
import { noReplica } from '../raft/message.ts';
import type { AnyGroup } from './turn-loop.ts';

/** When a replica here asks next. */
interface Succession {
  atMs: number;
  /** The term in which it was last looked at: a later one means that somebody else has asked. */
  term: number;
  triesLeft: number;
}

/**
 * The groups whose leader was lost with the connection to its node, and when their replicas here ask to
 * lead: one after the other, by a rank that differs from group to group, and with some chance in it, so
 * that they neither split their votes nor all leaderships go to one node. Raft's election timeout goes on
 * beside this, and comes last.
 */
export class Successions {
  readonly #random: Random;
  readonly #due = new Map<AnyGroup, Succession>();

  constructor(random: Random) {
    this.#random = random;
  }

  /** How many replicas wait to ask. */
  get size(): number {
    return this.#due.size;
  }

  /** The leader of a group is lost, and its replica here has forgotten it. */
  begin(group: AnyGroup, lost: number, nowMs: number): void {
    const { term } = group.replica;
    const atMs = nowMs + rankOf(group, lost) * successionStepMs + this.#jitterMs();
    this.#due.set(group, { atMs, term, triesLeft: successionTriesMax });
  }

  /** Those whose time has come ask; those who know a leader again are done. */
  tick(nowMs: number): void {
    for (const [group, succession] of this.#due) {
      const { replica } = group;
      if (group.isRemoved || replica.lead !== noReplica || succession.triesLeft === 0) {
        this.#due.delete(group);
      } else if (replica.term > succession.term) {
        // Somebody asks already: whoever asks now would take its election away.
        succession.term = replica.term;
        succession.atMs = nowMs + this.#againMs(group);
      } else if (nowMs >= succession.atMs) {
        succession.triesLeft -= 1;
        succession.atMs = nowMs + this.#againMs(group);
        replica.campaign();
        succession.term = replica.term;
      }
    }
  }

  /** Each voter has its turn once more: who split their votes do not meet again. */
  #againMs(group: AnyGroup): number {
    const voters = votersOf(group.replica.configuration).length;
    return successionStepMs + (this.#random.uint32() % (voters * successionStepMs));
  }

  #jitterMs(): number {
    return this.#random.uint32() % successionJitterMs;
  }
}

/** The place of a replica among the voters that are left; another one is first for each group. */
function rankOf({ id, replica }: AnyGroup, lost: number): number {
  const left = votersOf(replica.configuration).filter((voter) => voter !== lost);
  // A learner has none, and does not campaign.
  return (left.indexOf(replica.id) + id) % left.length;
}
