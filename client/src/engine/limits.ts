/** Every bound of the client, each with its unit and reason. */
export const clientLimits = {
  /**
   * Operations open in one lane, and sequences of a session above its floor: the server's own bound
   * (SPEC §4). More wait in their lane, or go to another session.
   */
  openPerLaneMax: 4_096,
  /** Operations waiting to be sent: at a million a second, a fifteenth of a second of calls. */
  queuedMax: 65_536,
  /** Bytes of operations waiting to be sent. */
  queuedBytesMax: 67_108_864,
  /** Bytes of one ExchangeRequest (SPEC §1: no request exceeds 3.5 MiB). */
  messageBytesMax: 3_670_016,
  /**
   * Requests of a stream that wait for gRPC before the engine is asked to stop: a few keep the
   * connection busy, and calls that wait here cannot join a fuller message any more.
   */
  messagesWaitingMax: 16,
  /**
   * Replies of one message from which it is heard in two turns: below, a batch's own cost (0.2 ms on
   * either side) outweighs what the two gain by working at the same time.
   */
  repliesHalvedMin: 48,
  /** Receipts in one Acknowledge: the contract's bound. */
  receiptsPerCallMax: 1_000,
  /** Milliseconds until a receipt that was not confirmed is sent again (K3). */
  receiptRepeatMs: 1_000,
  /** Milliseconds: the first pause before a retry or a reconnect; doubles. */
  backOffFirstMs: 25,
  /** Milliseconds: the longest pause before a retry or a reconnect. */
  backOffMaxMs: 2_000,
  /** Milliseconds a prompt call may take, retries included, unless the caller says otherwise. */
  timeoutDefaultMs: 30_000,
  /** Milliseconds: the lease asked for a session unless the caller says otherwise (SPEC §4). */
  leaseDefaultMs: 10_000,
  /** Milliseconds until a keep-alive that was answered with an error is sent again, at least. */
  keepRetryMs: 250,
  /** Milliseconds of silence after which a server that owes prompt answers is asked whether it is there. */
  probeMs: 400,
  /** The same for one that owes answers to calls that wait: many clients do nothing else. */
  probeWaitingMs: 5_000,
  /**
   * Milliseconds that it has to answer, which it does without its disk: above what a garbage collection
   * takes, and with `probeMs` within the two seconds in which a node that was cut off is to be left.
   */
  silentMs: 1_000,
  /** The same where others say that it has lost a leadership: what it holds is known to be late. */
  suspectMs: 500,
  /** Milliseconds by which this process may be late to look; beyond, it was away itself. */
  lateMs: 250,
  /** Milliseconds until a new connection has to be heard: a handshake over a slow network. */
  openMs: 5_000,
  /** Milliseconds after the last call until the stream to a node is closed. */
  idleMs: 60_000,
  /** Keep-alives a lease: two may be lost. */
  keepsPerLease: 3,
  /** Milliseconds that closing waits for open takes, receipts and sessions. */
  closeTimeoutMs: 2_000,
  /** Bytes of the slabs that small bodies share: one allocation for some hundred calls. */
  slabBytes: 65_536,
  /** Bytes up to which a body may lie in a slab; a larger one is its own buffer. */
  slabBodyBytesMax: 8_192,
  /** Bytes of the slabs of calls that may wait long: 4,096 of them hold 16 MiB at the very worst. */
  lastingSlabBytes: 4_096,
  /** Bytes up to which such a body may lie in its slab. */
  lastingBodyBytesMax: 512,
} as const;
