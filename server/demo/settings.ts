/** Milliseconds after which a dead worker's tile comes back. */
export const sessionLeaseMs = 10_000;
