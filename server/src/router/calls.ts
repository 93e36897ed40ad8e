/** Which state machine serves which request: checks everything, then builds it. */
import { unreachable } from '../base/assert.ts';
import { type PartitionId, partitionOf, type SessionId } from '../base/ids.ts';
import { answerTupleBytesMax } from '../base/limits.ts';
import type { CallId } from '../coordination/messages.ts';
import type { Call } from './call.ts';
import {
  cancelOrRenew,
  increment,
  replace,
  write,
  writeIfAbsent,
  writeMany,
} from './change-calls.ts';
import { type Failure, invalid, isFailure, stopped } from './failure.ts';
import type { OwnSessions } from './own-sessions.ts';
import { OwnTake, type OwnTakePorts } from './own-take.ts';
import { CountCall, ReadCall } from './reading.ts';
import type {
  AcknowledgeRequest,
  CancelTakeRequest,
  CountRequest,
  ReadRequest,
  Request,
  TakeRequest,
} from './request.ts';
import type { RoutedSpace, SpaceDirectory, Target } from './routing.ts';
import { AcknowledgeCall, HomeCall } from './session-calls.ts';
import { TakeCall } from './taking.ts';

/** What calls are made of. */
export interface CallMaker {
  readonly spaces: SpaceDirectory;
  readonly sessions: OwnSessions;
  readonly ports: OwnTakePorts;
}

/** The call of a request, not yet started, or why the request is refused. */
export function makeCall(maker: CallMaker, number: CallId, request: Request): Call | Failure {
  switch (request.kind) {
    case 'acknowledge':
      return acknowledge(maker, number, request);
    case 'open-session': {
      // Homes in turn: any partition will do.
      const home = (1 + (number % maker.spaces.partitions)) as PartitionId;
      return new HomeCall(maker.ports, number, { home, question: request });
    }
    case 'keep-session':
    case 'close-session': {
      if (!hasHome(maker, request.session)) return stopped('unknown-session');
      const home = partitionOf(request.session);
      return new HomeCall(maker.ports, number, { home, question: request });
    }
    default: {
      const space = maker.spaces.resolve(request.space);
      if (isFailure(space)) return space;
      // A session asks its home before it is served: there must be one.
      const operation = 'operation' in request ? request.operation : undefined;
      if (operation?.kind === 'session' && !hasHome(maker, operation.session))
        return stopped('unknown-session');
      return makeSpaceCall(maker, number, request, space);
    }
  }
}

/** Whether a session's id names a partition that there is. */
function hasHome({ spaces }: CallMaker, session: SessionId): boolean {
  return spaces.hasPartition(partitionOf(session));
}

function makeSpaceCall(
  maker: CallMaker,
  number: CallId,
  request: Extract<Request, { readonly space: unknown }>,
  space: RoutedSpace,
): Call | Failure {
  switch (request.kind) {
    case 'write':
      return write(maker, number, request, space);
    case 'write-many':
      return writeMany(maker, number, request, space);
    case 'write-if-absent':
      return writeIfAbsent(maker, number, request, space);
    case 'replace':
      return replace(maker, number, request, space);
    case 'increment':
      return increment(maker, number, request, space);
    case 'renew':
    case 'cancel':
      return cancelOrRenew(maker, number, request, space);
    case 'read':
      return read(maker, number, request, space);
    case 'take':
      return take(maker, number, request, space);
    case 'cancel-take':
      return cancelTake(maker, number, request, space);
    case 'count':
      return count(maker, number, request, space);
    default:
      return unreachable(request);
  }
}

function read(
  maker: CallMaker,
  number: CallId,
  request: ReadRequest,
  space: RoutedSpace,
): Call | Failure {
  const target = blockingTarget(space, request);
  if (isFailure(target)) return target;
  const { max, min } = request;
  return new ReadCall(maker.ports, number, {
    partitions: target.partitions,
    pinned: target.slot !== undefined,
    query: { space: space.id, template: target.template, max, min },
    states: request.states,
    waits: request.waitMs > 0,
    answerBytesMax: answerTupleBytesMax,
  });
}

function take(
  maker: CallMaker,
  number: CallId,
  request: TakeRequest,
  space: RoutedSpace,
): Call | Failure {
  const { operation } = request;
  if (operation?.kind === 'request') {
    const message = 'a take can be sent again within a session only, not by a request id';
    return invalid('REQUEST_INVALID', 'operation.request_id', message);
  }
  const target = blockingTarget(space, request);
  if (isFailure(target)) return target;
  if (operation === undefined) {
    // Kept until the take inside is made, and made again where that has to move.
    const kept = { ...request, template: request.template.slice() };
    return new OwnTake(maker.ports, number, { sessions: maker.sessions, request: kept });
  }
  const { max, min } = request;
  return new TakeCall(maker.ports, number, {
    operation,
    target,
    query: { space: space.id, template: target.template, max, min },
    waits: request.waitMs > 0,
    cancels: false,
  });
}

function cancelTake(
  maker: CallMaker,
  number: CallId,
  request: CancelTakeRequest,
  space: RoutedSpace,
): Call | Failure {
  const target = space.target(request.template, 'template');
  if (isFailure(target)) return target;
  if (request.operation.attempt < 2) {
    const message = 'a cancel is an attempt of its own, above the first';
    return invalid('REQUEST_INVALID', 'operation.attempt', message);
  }
  return new TakeCall(maker.ports, number, {
    operation: request.operation,
    target,
    query: { space: space.id, template: target.template, max: 1, min: 1 },
    waits: false,
    cancels: true,
  });
}

function count(
  maker: CallMaker,
  number: CallId,
  request: CountRequest,
  space: RoutedSpace,
): Call | Failure {
  const { template, states } = request;
  if (template === undefined) {
    const partitions = space.everywhere();
    return new CountCall(maker.ports, number, { partitions, space: space.id, template, states });
  }
  const target = space.target(template, 'template');
  if (isFailure(target)) return target;
  return new CountCall(maker.ports, number, { ...target, space: space.id, states });
}

/** The target of a call that may wait, and for several tuples. */
function blockingTarget(space: RoutedSpace, request: ReadRequest | TakeRequest): Target | Failure {
  const { template, waitMs } = request;
  // What grpc-js hands out is a slice of a larger slab: a waiter must not hold that.
  const target =
    waitMs > 0 ? space.lastingTarget(template, 'template') : space.target(template, 'template');
  if (isFailure(target)) return target;
  if (request.min > 1 && target.slot === undefined) {
    const message = `a wait for ${request.min} tuples needs a template pinned to one slot`;
    return invalid('NOT_PINNED', 'template', message);
  }
  return target;
}

function acknowledge(
  maker: CallMaker,
  number: CallId,
  request: AcknowledgeRequest,
): Call | Failure {
  if (!hasHome(maker, request.session)) return stopped('unknown-session');
  for (const [position, { tuple }] of request.receipts.entries()) {
    if (maker.spaces.hasPartition(partitionOf(tuple))) continue;
    const field = `receipts[${position}].tuple_id`;
    return invalid('REQUEST_INVALID', field, `no tuple can have the id ${tuple}`);
  }
  return new AcknowledgeCall(maker.ports, number, request);
}
