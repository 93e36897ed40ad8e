/** Carries out an operation of a history through the SDK. */
import type { Space, TupletError } from '@tuplet/client';
import type { ArgumentsJson, OutcomeJson, ResultJson } from '../sim/check/history.ts';
import type { Asked } from '../sim/client.ts';
import { unreachable } from '../src/base/assert.ts';
import { foundJson, outcomesJson, templateOf, tupleOf, writtenJson } from './convert.ts';

/** How an operation ended. */
export interface Ended {
  readonly outcome: OutcomeJson;
  readonly result: ResultJson;
}

/** Limits of a call. */
export interface CallLimits {
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

const nothing: Ended = { outcome: 'nothing', result: {} };

function ok(result: ResultJson): Ended {
  return { outcome: 'ok', result };
}

function manyFound(tuples: readonly unknown[]): Ended {
  return tuples.length === 0 ? nothing : ok({ found: tuples.map(foundJson) });
}

function oneFound(tuple: unknown): Ended {
  return manyFound(tuple === undefined ? [] : [tuple]);
}

/** Calls the SDK before it returns. The promise rejects with TupletError. */
export function call(
  space: Space,
  operation: Asked,
  asked: ArgumentsJson,
  limits: CallLimits,
): Promise<Ended> {
  const { tuple = [], tuples = [], leaseMs, absent = [], waitMs, max = 1, min = 1 } = asked;
  const template = asked.template ? templateOf(asked.template) : [];
  const lease = leaseMs === undefined ? limits : { ...limits, leaseMs };
  const wait = waitMs === null || waitMs === undefined ? limits : { ...limits, waitMs };
  switch (operation) {
    case 'write':
      return space
        .write(tupleOf(tuple), lease)
        .then((written) => ok({ written: writtenJson(written) }));
    case 'write-many':
      return space
        .writeMany(tuples.map(tupleOf), lease)
        .then((outcomes) => ok(outcomesJson(outcomes)));
    case 'write-if-absent':
      return space
        .writeIfAbsent(tupleOf(tuple), templateOf(absent), lease)
        .then((written) => (written ? ok({ written: writtenJson(written) }) : nothing));
    case 'read':
      return space.read(template, wait).then(oneFound);
    case 'take':
      return space.take(template, wait).then(oneFound);
    case 'read-many':
      return space.readMany(template, { ...wait, max, min }).then(manyFound);
    case 'take-many':
      return space.takeMany(template, { ...wait, max, min }).then(manyFound);
    case 'replace':
      return space
        .replace(asked.version ?? template, tupleOf(tuple), lease)
        .then((done) =>
          done
            ? ok({ written: writtenJson(done.written), replaced: foundJson(done.replaced) })
            : nothing,
        );
    case 'increment':
      return space
        .increment(template, asked.field ?? 0, Number(asked.delta ?? 1), limits)
        .then(oneFound);
    case 'count':
      return space
        .count(asked.template ? template : undefined, limits)
        .then((count) => ok({ count }));
    case 'renew':
      return space.renew(asked.tupleId ?? 0, leaseMs, limits).then((renewed) =>
        ok({
          renewed: renewed !== undefined,
          leaseEndMs: renewed?.leaseEnd?.toMilliseconds() ?? null,
        }),
      );
    case 'cancel':
      return space.cancel(asked.tupleId ?? 0, limits).then((cancelled) => ok({ cancelled }));
    default:
      return unreachable(operation);
  }
}

/** What an error of the SDK says of the outcome. */
export function endedBy({ reason, definite }: TupletError): Ended {
  const cancelled = reason === 'CANCELLED' && definite;
  return { outcome: cancelled ? 'cancelled' : definite ? 'failed' : 'unknown', result: { reason } };
}
