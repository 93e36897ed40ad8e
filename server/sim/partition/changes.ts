/** What changes who belongs to a cluster's groups while it works. */
export interface Changes {
  /** Changes something somewhere, if it can be done now. */
  change(): void;
  /** Ends what nobody needs any more; asked now and then. */
  bury(): void;
  /** Leaves joint configurations that stay until somebody does; for the end of a run. */
  leaveAll(): void;
  /** Whether a group may have had a single voter at some time. */
  readonly hasShrunk: boolean;
}
