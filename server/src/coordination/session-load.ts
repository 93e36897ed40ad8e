import type { ErrorReason } from '@tuplet/proto';
import type { Sequence, SessionId } from '../base/ids.ts';
import type { SessionOperation } from '../space/command.ts';
import type { LeaderContext } from './leader-context.ts';

/** A refusal without the number of the sending. */
export interface BusyRefusal {
  readonly kind: 'refused';
  readonly reason: ErrorReason;
  readonly message: string;
}

/** SPEC §4: why a session may begin no further operation here; undefined: it may. */
export function sessionBusy(
  { space, limits }: LeaderContext,
  { session, floor }: SessionOperation,
): BusyRefusal | undefined {
  const { operations, bytes } = loadWith({ space, limits }, session, floor);
  if (operations >= limits.sessionOperationsMax) {
    const message = `the session has ${operations} unfinished operations in this partition, limit ${limits.sessionOperationsMax}`;
    return { kind: 'refused', reason: 'SESSION_BUSY', message };
  }
  if (bytes < limits.sessionBytesMax) return undefined;
  const message = `the session has ${bytes} bytes of results and unacknowledged tuples in this partition, limit ${limits.sessionBytesMax}`;
  return { kind: 'refused', reason: 'SESSION_BUSY', message };
}

/** The entry of an operation raises the floor first: what lies below its floor makes room for it. */
function loadWith(
  { space, limits }: Pick<LeaderContext, 'space' | 'limits'>,
  session: SessionId,
  floor: Sequence,
): ReturnType<LeaderContext['space']['sessionLoad']> {
  const load = space.sessionLoad(session);
  const isFull =
    load.operations >= limits.sessionOperationsMax || load.bytes >= limits.sessionBytesMax;
  // Only a full session is looked through.
  return isFull ? space.sessionLoad(session, floor) : load;
}

/** Why a take may not become a waiter; undefined: it may. */
export function busyReason(
  context: LeaderContext,
  operation: SessionOperation,
  waiters: number,
): BusyRefusal | undefined {
  return sessionBusy(context, operation) ?? tooManyWaiters(context, waiters);
}

/** Why no further call may wait in this partition; undefined: it may. */
export function tooManyWaiters(
  { limits }: LeaderContext,
  waiters: number,
): BusyRefusal | undefined {
  if (waiters < limits.waitersMax) return undefined;
  const message = `${waiters} calls wait in this partition, limit ${limits.waitersMax}`;
  return { kind: 'refused', reason: 'WAITERS_EXHAUSTED', message };
}
