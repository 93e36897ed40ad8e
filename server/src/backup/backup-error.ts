/** Why a backup cannot be made, or is of no use; a sentence for the operator. */
export class BackupError extends Error {
  override readonly name = 'BackupError';
}
