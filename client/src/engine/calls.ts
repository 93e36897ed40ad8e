/**
 * The calls of Exchange: their field numbers in Call and Reply (`tuplet/v1/space.proto`), and what
 * the engine has to know of each.
 */

/** What the engine knows of one kind of call. */
export interface CallKind {
  /** Its name in the contract. */
  readonly name: string;
  /** The field of Call. */
  readonly request: number;
  /** The field of Reply. */
  readonly reply: number;
  /** Whether it changes something: it then has a session, a sequence and attempts (K1). */
  readonly mutates: boolean;
  /** Whether its answer hands tuples over, which wait for their receipt (K3). */
  readonly handsOver: boolean;
  /** The field that says how long to wait, 0 where it never waits. */
  readonly waitField: number;
}

function reading(name: string, request: number, waitField: number): CallKind {
  return { name, request, reply: request + 1, mutates: false, handsOver: false, waitField };
}

function writing(name: string, request: number): CallKind {
  return { name, request, reply: request + 1, mutates: true, handsOver: false, waitField: 0 };
}

function taking(name: string, request: number, waitField: number): CallKind {
  return { name, request, reply: request + 1, mutates: true, handsOver: true, waitField };
}

/** The operations that a user may start. */
export const callKinds: { readonly [Name in OperationName]: CallKind } = {
  write: writing('write', 2),
  writeMany: writing('write_many', 3),
  writeIfAbsent: writing('write_if_absent', 4),
  read: reading('read', 5, 3),
  readMany: reading('read_many', 6, 5),
  take: taking('take', 7, 4),
  takeMany: taking('take_many', 8, 6),
  replace: writing('replace', 11),
  increment: writing('increment', 12),
  count: reading('count', 13, 0),
  renew: writing('renew', 14),
  cancel: writing('cancel', 15),
};

/** The name of an operation. */
export type OperationName =
  | 'write'
  | 'writeMany'
  | 'writeIfAbsent'
  | 'read'
  | 'readMany'
  | 'take'
  | 'takeMany'
  | 'replace'
  | 'increment'
  | 'count'
  | 'renew'
  | 'cancel';

/** The calls that the engine makes for itself: fields of Call. */
export const controlCalls = {
  acknowledge: 9,
  cancelTake: 10,
  openSession: 16,
  keepSession: 17,
  closeSession: 18,
  endCall: 19,
} as const;

/** The field of Reply that carries an error; every other reply has its request's number plus 1. */
export const errorReply = 2;
