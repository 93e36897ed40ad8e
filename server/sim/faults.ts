/** What the schedule does to the node, its disk, the network and the clients. */
import { unreachable } from '../src/base/assert.ts';
import type { Prng } from '../src/base/prng.ts';
import type { FaultKind, FaultWeights } from './settings.ts';
import type { World } from './world.ts';

/** How long a node stays down. */
const downMs = [5, 1500] as const;

/** One of the kinds, by weight; undefined where none has any. */
export function pickFault(random: Prng, weights: FaultWeights): FaultKind | undefined {
  const kinds = Object.keys(weights) as FaultKind[];
  const total = kinds.reduce((sum, kind) => sum + weights[kind], 0);
  if (total === 0) return undefined;
  let at = random.below(total);
  for (const kind of kinds) {
    at -= weights[kind];
    if (at < 0) return kind;
  }
  return undefined;
}

/** Does one thing now, or arms it. */
export function inflict(world: World, kind: FaultKind, random: Prng): void {
  switch (kind) {
    case 'crash':
      world.crash(random.chance(2, 3) ? 'power' : 'process', random.between(...downMs));
      return;
    case 'crash-at-reply':
      world.crashAtReply(random.between(...downMs));
      return;
    case 'crash-before-sync':
      world.crashBeforeSync(random.between(...downMs));
      return;
    case 'kill-client':
      world.killClient();
      return;
    case 'pause-client':
      world.pauseClient(random.between(20, 900));
      return;
    case 'pause-client-beyond-lease':
      world.pauseClient(Math.ceil(world.settings.leaseMs * (1.1 + random.below(100) / 100)));
      return;
    case 'break':
      world.breakLink();
      return;
    case 'stall':
      world.stallLink(random.between(50, 3000));
      return;
    case 'kill-gateway':
      world.killGateway(random.between(1, 800));
      return;
    case 'slow-disk':
      world.slowDisk(random.between(500, 3000));
      return;
    case 'full-disk':
      world.fillDisk(random.between(300, 3000));
      return;
    case 'disk-error':
      world.breakDisk(random.chance(1, 2) ? 'sync' : 'write');
      return;
    case 'pause-node':
      world.pauseNode(random.between(10, 500));
      return;
    case 'cancel':
      world.cancelCall();
      return;
    default:
      unreachable(kind);
  }
}
