/** The calls that change something and do not wait: checks their arguments, then builds them. */
import { canonicalValue, isProblem, limits } from '@tuplet/proto';
import { present } from '../base/assert.ts';
import { partitionOf } from '../base/ids.ts';
import type { CallId, Change } from '../coordination/messages.ts';
import type { Operation } from '../space/command.ts';
import type { Result } from '../space/outcome.ts';
import type { Call, CallPorts } from './call.ts';
import { type Failure, identityReused, invalid, isFailure } from './failure.ts';
import { type Changed, MutationCall, type MutationOwner } from './mutation.ts';
import type {
  Answer,
  CancelRequest,
  Identity,
  IncrementRequest,
  RenewRequest,
  ReplaceRequest,
  WriteIfAbsentRequest,
  WriteManyRequest,
  WriteRequest,
} from './request.ts';
import { type RoutedSpace, refusedArgument, type SpaceDirectory, type Target } from './routing.ts';
import { type PlacedTuple, WriteManyCall } from './write-many.ts';

const { messageBytesMax } = limits;

/** What these calls are made of. */
export interface ChangeMaker {
  readonly spaces: SpaceDirectory;
  readonly ports: CallPorts;
}

/** Adds a tuple. */
export function write(
  maker: ChangeMaker,
  number: CallId,
  request: WriteRequest,
  space: RoutedSpace,
): Call | Failure {
  const tuple = space.place(request.tuple, 'tuple');
  if (isFailure(tuple)) return tuple;
  return new MutationCall(maker.ports, number, {
    partition: space.partitionOf(tuple.slot),
    operation: identified(request.operation, space),
    change: { kind: 'write', space: space.id, tuples: [tuple] },
    owner: writtenReply,
  });
}

/** Adds several; an invalid one refuses the whole request. */
export function writeMany(
  maker: ChangeMaker,
  number: CallId,
  request: WriteManyRequest,
  space: RoutedSpace,
): Call | Failure {
  const tuples: PlacedTuple[] = [];
  let bytes = 0;
  for (const [position, requested] of request.tuples.entries()) {
    const tuple = space.place(requested, `items[${position}].tuple`);
    if (isFailure(tuple)) return tuple;
    tuples.push({ partition: space.partitionOf(tuple.slot), tuple });
    bytes += tuple.bytes.length;
  }
  // In canonical form tuples may be larger than they came, by empty keys that were left out.
  if (bytes > messageBytesMax) {
    const message = `the tuples have ${bytes} bytes in canonical form, limit ${messageBytesMax}`;
    return invalid('REQUEST_TOO_LARGE', 'items', message, messageBytesMax);
  }
  const operation = identified(request.operation, space);
  return new WriteManyCall(maker.ports, number, { operation, space: space.id, tuples });
}

/** Adds a tuple where nothing matches. */
export function writeIfAbsent(
  maker: ChangeMaker,
  number: CallId,
  request: WriteIfAbsentRequest,
  space: RoutedSpace,
): Call | Failure {
  const tuple = space.place(request.tuple, 'tuple');
  if (isFailure(tuple)) return tuple;
  // A copy: the decision may have to wait for another one.
  const absent = space.target(request.absent.slice(), 'absent');
  if (isFailure(absent)) return absent;
  if (absent.slot !== tuple.slot) {
    const message = 'the template is not pinned to the slot of the tuple';
    return invalid('NOT_PINNED', 'absent', message);
  }
  return new MutationCall(maker.ports, number, {
    partition: space.partitionOf(tuple.slot),
    operation: identified(request.operation, space),
    change: { kind: 'write-if-absent', space: space.id, tuple, absent: absent.template },
    owner: writtenReply,
  });
}

/** Puts one tuple in the place of another of the same slot. */
export function replace(
  maker: ChangeMaker,
  number: CallId,
  request: ReplaceRequest,
  space: RoutedSpace,
): Call | Failure {
  const tuple = space.place({ bytes: request.bytes, leaseMs: undefined }, 'tuple');
  if (isFailure(tuple)) return tuple;
  const partition = space.partitionOf(tuple.slot);
  const target = replaceTarget(maker, request, space);
  if (isFailure(target)) return target;
  const inTheSame =
    'template' in target ? target.slot === tuple.slot : partitionOf(target.tuple) === partition;
  // Where a tuple is named by its id, its slot is the leader's to look at.
  if (!inTheSame) {
    const message = 'the new tuple lies in another slot than the one it replaces';
    return invalid('ROUTE_CHANGES', 'tuple', message);
  }
  const change: Change = {
    kind: 'replace',
    space: space.id,
    target: 'template' in target ? target.template : target,
    slot: tuple.slot,
    bytes: tuple.bytes,
    leaseMs: request.leaseMs,
  };
  return new MutationCall(maker.ports, number, {
    partition,
    operation: identified(request.operation, space),
    change,
    owner: replacedReply,
  });
}

function replaceTarget(
  maker: ChangeMaker,
  { target }: ReplaceRequest,
  space: RoutedSpace,
): Target | Failure | Exclude<ReplaceRequest['target'], Uint8Array> {
  if (target instanceof Uint8Array) return pinnedTarget(space, target);
  if (maker.spaces.hasPartition(partitionOf(target.tuple))) return target;
  return invalid('REQUEST_INVALID', 'version.tuple_id', `no tuple can have the id ${target.tuple}`);
}

/** Increases one field of one tuple. */
export function increment(
  maker: ChangeMaker,
  number: CallId,
  request: IncrementRequest,
  space: RoutedSpace,
): Call | Failure {
  const target = pinnedTarget(space, request.template);
  if (isFailure(target)) return target;
  if (space.routesBy(target, request.field)) {
    const message = `field ${request.field} routes the tuple and cannot change`;
    return invalid('ROUTE_CHANGES', 'field', message);
  }
  const delta = canonicalValue(request.delta);
  if (isProblem(delta)) return refusedArgument(delta, 'delta');
  return new MutationCall(maker.ports, number, {
    partition: present(target.partitions[0], 'a pinned template has a partition'),
    operation: identified(request.operation, space),
    change: {
      kind: 'increment',
      space: space.id,
      template: target.template,
      field: request.field,
      delta: delta.slice(),
    },
    owner: replacedReply,
  });
}

/** Removes a tuple by its id, or prolongs its lease. An id of no partition names no tuple. */
export function cancelOrRenew(
  maker: ChangeMaker,
  number: CallId,
  request: CancelRequest | RenewRequest,
  space: RoutedSpace,
): Call | Failure {
  const partition = partitionOf(request.tuple);
  if (!maker.spaces.hasPartition(partition))
    return invalid('REQUEST_INVALID', 'tuple_id', `no tuple can have the id ${request.tuple}`);
  const { tuple } = request;
  const operation = identified(request.operation, space);
  const change: Change =
    request.kind === 'cancel'
      ? { kind: 'cancel', space: space.id, tuple }
      : { kind: 'renew', space: space.id, tuple, leaseMs: request.leaseMs };
  return new MutationCall(maker.ports, number, { partition, operation, change, owner: byIdReply });
}

/** Who asks: a request id is one of the space that the call is for. */
function identified(identity: Identity | undefined, space: RoutedSpace): Operation | undefined {
  return identity?.kind === 'request' ? { ...identity, space: space.id } : identity;
}

function pinnedTarget(space: RoutedSpace, template: Uint8Array): Target | Failure {
  // A copy: the decision may have to wait for another one.
  const target = space.target(template.slice(), 'template');
  if (isFailure(target) || target.slot !== undefined) return target;
  return invalid('NOT_PINNED', 'template', 'the template is not pinned to one slot');
}

/** What the callers of a kind hear; a result of another kind shows that its identity was used twice. */
function replyWith(
  unchanged: Answer,
  convert: (result: Result) => Answer | undefined,
): MutationOwner {
  const answerOf = (changed: Changed): Answer => {
    if (changed.kind === 'failed') return changed;
    if (changed.kind === 'unchanged') return unchanged;
    return convert(changed.result) ?? { kind: 'failed', failure: identityReused };
  };
  return { settled: (mutation, changed) => mutation.answer(answerOf(changed)) };
}

const writtenReply = replyWith({ kind: 'written', tuple: undefined }, (result) =>
  result.kind === 'written' ? { kind: 'written', tuple: result.tuples[0] } : undefined,
);

const replacedReply = replyWith({ kind: 'replaced', change: undefined }, (result) =>
  result.kind === 'replaced' ? { kind: 'replaced', change: result } : undefined,
);

const byIdReply = replyWith({ kind: 'removed', found: false }, (result) => {
  if (result.kind === 'cancelled') return { kind: 'removed', found: result.found };
  if (result.kind !== 'renewed') return undefined;
  return { kind: 'renewed', found: result.found, leaseEndMs: result.leaseEndMs };
});
