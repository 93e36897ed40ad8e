/** Deliberate bugs of what holds nodes together: meshes, links and the placement of replicas. See table.ts. */
import type { Edit, Mutant } from './table.ts';

const reconciler = 'server/dist/src/placement/reconciler.js';
const allocator = 'server/dist/src/placement/allocator.js';
const led = 'server/dist/src/placement/led-group.js';
const change = 'server/dist/src/cluster/next-change.js';
const placements = 'server/dist/src/cluster/placements.js';
const plan = 'server/dist/src/cluster/plan-moves.js';
const mesh = 'server/dist/src/mesh/mesh.js';
const leaders = 'server/dist/src/mesh/leaders.js';
const histories = 'server/dist/src/mesh/histories.js';
const historyCalls = 'server/dist/src/mesh/history-calls.js';
const group = 'server/dist/src/partition/group.js';
const host = 'server/dist/src/partition/partition-host.js';
const spaceDrops = 'server/dist/src/router/space-drops.js';
const links = 'server/dist/sim/cluster/sim-links.js';
const clientHarness = 'server/dist/sim/client.js';

function several(name: string, ...edits: readonly Edit[]): Mutant {
  return { world: 'cluster', name, edits };
}

function one(name: string, file: string, find: string, replace: string): Mutant {
  return several(name, { file, find, replace });
}

/** All of them. */
export const clusterMutants: readonly Mutant[] = [
  one(
    'a move that removes before it adds',
    change,
    'if (!missing.every((replica) => led.isCaughtUp(replica)))',
    'if (leaving.length > 0 && !leaving.includes(led.self)) return change({ removed: leaving });\n    if (!missing.every((replica) => led.isCaughtUp(replica)))',
  ),
  several(
    'a replica is buried as soon as the map does not list it',
    {
      file: reconciler,
      find: 'return placedAt >= replica.lastChangeIndex;',
      replace: 'return true;',
    },
    // The map believes whoever leads, committed or not.
    { file: led, find: 'isChangePending ? undefined : applied', replace: 'applied' },
    {
      file: reconciler,
      find: 'if (!this.#options.host.isConfigurationSettled(group))',
      replace: 'if (false)',
    },
  ),
  one(
    'a report says where the change is',
    led,
    'isChangePending ? undefined : applied',
    'isChangePending ? undefined : status.configurationIndex',
  ),
  one(
    'a replica gets a number for the second time',
    placements,
    'placement.nextReplica + (isNew ? 1 : 0)',
    'placement.nextReplica',
  ),
  one(
    'a move whose target is lost waits for it',
    plan,
    'return (plan.retarget() ??\n        plan.fromNodes',
    'return (plan.fromNodes',
  ),
  one(
    'replicas stay on nodes that are gone',
    plan,
    "plan.fromNodes('gone') ??\n        plan.count()",
    'plan.count()',
  ),
  one('a node that lags hears of no others', mesh, 'this.#options.onNodes(item.nodes);', ''),
  one('new nodes do not hear the map', change, "place.role !== 'joining' &&", 'false &&'),
  one('a node that is back counts as away', allocator, 'this.#awaySinceMs.delete(id);', ''),
  one(
    'a leader that leaves changes the configuration itself, and never hands over',
    change,
    'if (leaving.includes(led.self)) {',
    'if (leaving.includes(led.self)) return undefined;\n    if (false) {',
  ),
  one(
    'a replica that left is never buried',
    reconciler,
    'else if (this.#isBurial(placement, replica))',
    'else if (false)',
  ),
  one(
    'a joining replica is made under the number of its node',
    reconciler,
    'host.createReplica(group, place.replica,',
    'host.createReplica(group, place.node,',
  ),
  one('the router is not told that a link broke', mesh, 'router.linkBroken(partition);', ''),
  one(
    'the routers of a node that is gone stay attached',
    mesh,
    'for (const detach of this.#remote.get(peer)?.values() ?? [])\n            detach();',
    '',
  ),
  one('a leadership outlives the link to it', leaders, 'this.#leaders.delete(partition);', ''),
  one(
    'an older leadership takes the place of a newer one',
    leaders,
    'if ((this.#leaders.get(partition)?.epoch ?? 0) >= leader.epoch)',
    'if (this.#leaders.get(partition)?.epoch === leader.epoch)',
  ),
  one(
    'leaders are not told of when a link comes up',
    mesh,
    "for (const router of this.#routers.keys())\n            this.#say(peer, { kind: 'router-attached', router });",
    '',
  ),
  one(
    'answers go to another router than asked',
    mesh,
    'this.#routers.get(router)?.deliver(messages);',
    '[...this.#routers.values()].at(-1)?.deliver(messages);',
  ),
  one(
    'what leaders say to each other is lost between nodes',
    mesh,
    "this.#outbox?.coordination(leader.node, { kind: 'between-leaders', partition: to, message });",
    '',
  ),
  one(
    'a history read elsewhere skips an event',
    histories,
    'comparePlaces(place, after) > 0',
    'comparePlaces(place, after) > 1',
  ),
  one(
    'a history read elsewhere begins a page anew',
    histories,
    'calls.ask(node, { partition: this.#partition, after }, answered);',
    'calls.ask(node, { partition: this.#partition, after: after && { revision: after.revision, position: 0 } }, answered);',
  ),
  one(
    'what is compacted elsewhere is passed over in silence',
    historyCalls,
    "if (records === 'compacted')\n            return { kind: records };",
    "if (records === 'compacted')\n            return { kind: 'events', records: history.records(history.cutPlace, 500, 262144) };",
  ),
  one(
    'a snapshot that was lost is waited for',
    mesh,
    "return end === 'arrived' ? undefined : 'lost';",
    'return undefined;',
  ),
  one(
    'a part of a write-many that failed is sure, whatever was sent before',
    clientHarness,
    'this.#answer = isFirst ? answer : inDoubt(answer);',
    'this.#answer = answer;',
  ),
  one(
    'a leader reads by its own belief',
    group,
    'this.#indexQuestions.add(answer);\n        this.replica.confirm(() => {\n            if (this.#indexQuestions.delete(answer))\n                answer(index);\n        });',
    'answer(index);',
  ),
  one(
    'a joiner founds partitions of its own',
    host,
    'return this.#foundersOf(group).includes(this.#founding.replica);',
    'return true;',
  ),
  one(
    'a full lane loses what is said, and its link stands',
    links,
    'this.#break(keyOfIds(end.node.id, peer), connection, 0);',
    '',
  ),
  one(
    'the tuples of a dropped space are asked after once',
    spaceDrops,
    'drop.dueMs = nowMs + dropAgainMs;\n            // Refused',
    'drop.dueMs = Number.POSITIVE_INFINITY;\n            // Refused',
  ),
];
