/** Spaces that operators make, look for and drop, at any node, and what must hold of them. */
import type { GroupId, SpaceId } from '../../src/base/ids.ts';
import type { Prng } from '../../src/base/prng.ts';
import type { MapOutcome } from '../../src/cluster/map-command.ts';
import type { ClusterNode } from '../partition/cluster-node.ts';
import type { RunRecord } from '../run-record.ts';
import type { MeshCluster } from './mesh-cluster.ts';

/** Spaces at a time; each has one operator, who waits for an answer before the next step. */
const spacesAtOnce = 3;
/** More than a run creates under any name. */
const tupleBytesMax = 1_024;

/** A name, and what its operator knows of it. */
interface SideSpace {
  readonly name: string;
  /** Undefined: it is not there. */
  id: SpaceId | undefined;
  isBusy: boolean;
}

/** See the top of the file. Whose outcome nobody knows is left alone, and another name takes its place. */
export class SideSpaces {
  readonly #cluster: MeshCluster;
  readonly #record: RunRecord;
  readonly #random: Prng;
  readonly #known: SideSpace[] = [];
  /** Never given to two spaces. */
  readonly #ids = new Set<SpaceId>();
  #names = 0;

  constructor(cluster: MeshCluster, record: RunRecord, random: Prng) {
    this.#cluster = cluster;
    this.#record = record;
    this.#random = random;
  }

  /** One step of one of them. */
  change(): void {
    while (this.#known.length < spacesAtOnce) this.#add();
    const space = this.#random.pick(this.#known);
    const node = this.#cluster.pickAlive();
    if (space.isBusy || node === undefined) return;
    space.isBusy = true;
    if (this.#random.chance(1, 3)) this.#look(space, node);
    else if (space.id === undefined) this.#create(space, node);
    else this.#drop(space, node);
  }

  /** At rest: the map says what its operators were told, and has forgotten what they dropped. */
  judge(): void {
    const map = this.#cluster.leaderOf(0 as GroupId)?.host?.map.cluster;
    if (map === undefined) return;
    for (const space of this.#known) if (!space.isBusy) this.#compare(space, map, 'at rest');
    const left = map.dropped();
    if (left.length > 0)
      this.#record.say('spaces', `spaces ${left} are dropped, and not forgotten`);
  }

  #add(): void {
    this.#names += 1;
    this.#known.push({ name: `side-${this.#names}`, id: undefined, isBusy: false });
  }

  #create(space: SideSpace, node: ClusterNode): void {
    const { name } = space;
    const settings = { rules: [], like: undefined, tupleBytesMax };
    this.#cluster
      .meshOf(node)
      ?.map()
      .createSpace(name, settings, (outcome) => {
        if (!this.#isSure(space, outcome)) return;
        if (outcome.kind !== 'created') {
          this.#refused(space, outcome, 'SPACE_EXISTS');
          return;
        }
        const { id } = outcome.space;
        if (this.#ids.has(id)) this.#record.say('spaces', `space id ${id} was given twice`);
        this.#ids.add(id);
        space.id = id;
        this.#record.count('a space was created');
        // The node waited for its map only so long; whoever asks again must find it.
        if (node.host === undefined) space.isBusy = false;
        else this.#look(space, node);
      });
  }

  #drop(space: SideSpace, node: ClusterNode): void {
    this.#cluster
      .meshOf(node)
      ?.map()
      .dropSpace(space.name, (outcome) => {
        if (!this.#isSure(space, outcome)) return;
        if (outcome.kind !== 'dropped') {
          this.#refused(space, outcome, 'SPACE_NOT_FOUND');
          return;
        }
        if (outcome.space.id !== space.id)
          this.#record.say('spaces', `${space.name}: dropped ${outcome.space.id}, not ${space.id}`);
        space.id = undefined;
        space.isBusy = false;
        this.#record.count('a space was dropped');
      });
  }

  #look(space: SideSpace, node: ClusterNode): void {
    const mesh = this.#cluster.meshOf(node);
    mesh?.partitions().lookAtMap((isSure) => {
      space.isBusy = false;
      if (!isSure) return;
      this.#record.count('a map was looked at');
      this.#compare(space, mesh.map().cluster, `at node ${node.id}`);
    });
  }

  /** The node that was asked died, or could not find out: whatever is there now, this name says nothing any more. */
  #isSure(space: SideSpace, outcome: MapOutcome): boolean {
    this.#record.note(`${space.name} ${JSON.stringify(outcome).slice(0, 120)}`);
    if (outcome.kind !== 'refused' || outcome.problem.reason !== 'OUTCOME_UNKNOWN') return true;
    this.#record.count('what became of a space was not known');
    this.#known.splice(this.#known.indexOf(space), 1);
    return false;
  }

  /** Nothing has changed; that there is one, or none, is known to be wrong: it has one operator. */
  #refused(space: SideSpace, outcome: MapOutcome, never: string): void {
    space.isBusy = false;
    if (outcome.kind !== 'refused') return;
    const { reason } = outcome.problem;
    if (reason === never) this.#record.say('spaces', `${space.name}: ${reason}`);
  }

  #compare(
    { name, id }: SideSpace,
    map: { space(name: string): { readonly id: SpaceId } | undefined },
    where: string,
  ): void {
    const seen = map.space(name)?.id;
    if (seen === id) return;
    this.#record.say('spaces', `${name} is ${seen} ${where}, and its operator was told ${id}`);
  }
}
