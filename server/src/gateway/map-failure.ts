/** What the cluster map refuses, as callers are told of it. */
import type { MapOutcome, MapProblem } from '../cluster/map-command.ts';
import { type Failure, invalid } from '../router/failure.ts';

/** An outcome that is not the one that was asked for. */
export function refusalOf(outcome: MapOutcome): Failure {
  if (outcome.kind === 'refused') return problemFailure(outcome.problem);
  const message = 'the cluster map gave another answer than was asked for';
  return { reason: 'INTERNAL', message };
}

/** A problem, with the argument that it names. */
export function problemFailure({ reason, field, message, limit }: MapProblem): Failure {
  return invalid(reason, field, message, limit);
}
