/** Why a host cannot start over this data folder with these settings; the operator must act. */
export class StartError extends Error {
  override readonly name = 'StartError';
  readonly reason:
    | 'PARTITIONS_FIXED'
    | 'PARTITIONS_RANGE'
    | 'DATA_INCOMPLETE'
    | 'FORMAT_UNKNOWN'
    | 'NODE_OTHER'
    | 'FOUNDERS_OTHER'
    | 'NOT_FOUNDED'
    | 'NOT_JOINED'
    | 'JOIN_REFUSED'
    | 'DATA_LOST'
    | 'BACKUP_OTHER';

  constructor(reason: StartError['reason'], message: string, options?: ErrorOptions) {
    super(message, options);
    this.reason = reason;
  }
}
