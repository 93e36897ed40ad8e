/** From the router's answers to the contract's messages. */
import { durationOfMs, timestampOfMs } from '@tuplet/proto';
import type * as contract from '@tuplet/proto/contract';
import { EmptyScope, Outcome, TupleState } from '@tuplet/proto/contract';
import { assert } from '../base/assert.ts';
import { partitionOf } from '../base/ids.ts';
import { type Failure, isFailure } from '../router/failure.ts';
import type { Answer, EmptyScope as Scope } from '../router/request.ts';
import type { StoredTuple, WrittenTuple } from '../space/outcome.ts';
import type { RouterCall } from './decode.ts';
import { statusOf } from './status.ts';

/** An answer that is no failure. */
export type Success = Exclude<Answer, { readonly kind: 'failed' }>;
/** The kinds of answers in a Reply that are no errors. */
export type ReplyInit = Exclude<contract.ReplyResponseInit, { readonly kind: 'error' }>;

/** The same answer for who keeps it: its tuples share no memory with others. */
export function withOwnMemory(answer: Success): Success {
  if (answer.kind !== 'found') return answer;
  const tuples = answer.tuples.map((each) => ({ ...each, bytes: each.bytes.slice() }));
  return { ...answer, tuples };
}

/** The reply to a call. `stale`: the call asked for a read of any age, and learns it. */
export function replyOf(kind: RouterCall['kind'], answer: Success, stale: boolean): ReplyInit {
  switch (kind) {
    case 'read': {
      const { outcome, scope, found } = searched(answer);
      return { kind, value: { outcome, scope, found: found[0], age: stale ? fresh : undefined } };
    }
    case 'readMany': {
      const { outcome, scope, found } = searched(answer);
      return { kind, value: { outcome, scope, found, age: stale ? fresh : undefined } };
    }
    case 'take': {
      const { outcome, scope, found } = searched(answer);
      return { kind, value: { outcome, scope, found: found[0] } };
    }
    case 'takeMany':
      return { kind, value: searched(answer) };
    case 'cancelTake': {
      const { outcome, found } = searched(answer);
      return { kind, value: { outcome, found } };
    }
    case 'count':
      return {
        kind,
        value: { count: only(answer, 'counted').count, age: stale ? fresh : undefined },
      };
    default:
      return changeReplyOf(kind, answer);
  }
}

type SearchKind = 'read' | 'readMany' | 'take' | 'takeMany' | 'cancelTake' | 'count';

function changeReplyOf(kind: Exclude<RouterCall['kind'], SearchKind>, answer: Success): ReplyInit {
  switch (kind) {
    case 'write':
    case 'writeIfAbsent': {
      const { tuple } = only(answer, 'written');
      return { kind, value: { written: tuple === undefined ? undefined : written(tuple) } };
    }
    case 'writeMany':
      return { kind, value: { outcomes: only(answer, 'outcomes').outcomes.map(outcomeOf) } };
    case 'replace': {
      const { change } = only(answer, 'replaced');
      if (change === undefined) return { kind, value: {} };
      return { kind, value: { written: written(change.written), replaced: stored(change.old) } };
    }
    case 'increment': {
      const { change } = only(answer, 'replaced');
      return { kind, value: { found: change === undefined ? undefined : stored(change.new) } };
    }
    case 'renew': {
      const { found, leaseEndMs } = only(answer, 'renewed');
      return { kind, value: { renewed: found, leaseEnd: instant(leaseEndMs) } };
    }
    case 'cancel':
      return { kind, value: { cancelled: only(answer, 'removed').found } };
    case 'acknowledge': {
      const { receipts } = only(answer, 'received');
      const received = receipts.map(({ sequence, tuple }) => ({ sequence, tupleId: tuple }));
      return { kind, value: { received } };
    }
    case 'openSession': {
      const { session, leaseMs } = only(answer, 'session-opened');
      return { kind, value: { sessionId: session, lease: durationOfMs(leaseMs) } };
    }
    case 'keepSession':
      return { kind, value: { lease: durationOfMs(only(answer, 'session-kept').leaseMs) } };
    case 'closeSession':
      only(answer, 'session-closed');
      return { kind, value: {} };
  }
}

function searched(answer: Success): {
  readonly outcome: Outcome;
  readonly scope: EmptyScope;
  readonly found: readonly contract.StoredTupleInit[];
} {
  switch (answer.kind) {
    case 'found':
      return {
        outcome: Outcome.FOUND,
        scope: EmptyScope.UNSPECIFIED,
        found: answer.tuples.map(stored),
      };
    case 'nothing':
      return { outcome: Outcome.NOTHING, scope: scopeOf(answer.scope), found: [] };
    default:
      only(answer, 'cancelled');
      return { outcome: Outcome.CANCELLED, scope: EmptyScope.UNSPECIFIED, found: [] };
  }
}

function scopeOf(scope: Scope): EmptyScope {
  return scope === 'linearizable' ? EmptyScope.LINEARIZABLE : EmptyScope.EACH_PARTITION;
}

function only<Kind extends Success['kind']>(
  answer: Success,
  kind: Kind,
): Extract<Success, { readonly kind: Kind }> {
  assert(answer.kind === kind, 'a call is answered in its own kind');
  return answer as Extract<Success, { readonly kind: Kind }>;
}

function outcomeOf(outcome: WrittenTuple | Failure): contract.WriteOutcomeInit {
  if (isFailure(outcome)) return { kind: { kind: 'error', value: statusOf(outcome) } };
  return { kind: { kind: 'written', value: written(outcome) } };
}

function written({ id, revision, leaseEndMs }: WrittenTuple): contract.WrittenInit {
  return { tupleId: id, partition: partitionOf(id), revision, leaseEnd: instant(leaseEndMs) };
}

/** A tuple as the contract shows it. */
export function stored(tuple: StoredTuple): contract.StoredTupleInit {
  return {
    tuple: tuple.bytes,
    tupleId: tuple.id,
    partition: partitionOf(tuple.id),
    revision: tuple.revision,
    deliveries: tuple.deliveries,
    leaseEnd: instant(tuple.leaseEndMs),
    writtenAt: instant(tuple.writtenAtMs),
    state: tuple.state === 'handed' ? TupleState.HANDED : TupleState.READY,
  };
}

/** An instant of a partition's clock; absent: never. */
export function instant(ms: number | undefined): contract.TimestampMessageInit | undefined {
  return ms === undefined || ms === Number.POSITIVE_INFINITY ? undefined : timestampOfMs(ms);
}

/** On one node every replica is its leader's own. */
const fresh: contract.DurationMessageInit = { seconds: 0, nanos: 0 };
