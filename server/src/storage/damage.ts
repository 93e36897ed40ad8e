/** What the disk has lost or changed. Nothing is served from it. */

/** Where the damage lies. */
export interface DamagePlace {
  /** The file's name within the data folder. */
  readonly file: string;
  /** Bytes from the start of the file. */
  readonly offset: number;
  /** The log frame expected there; absent where no frame is concerned. */
  readonly sequence?: number;
}

/**
 * The log is damaged at or below what was known durable, or entries are missing from it. `open`
 * rejects with it and changes nothing on disk.
 */
export class LogDamaged extends Error {
  override readonly name = 'LogDamaged';
  readonly what: string;
  readonly place: DamagePlace;
  constructor(what: string, place: DamagePlace, options?: ErrorOptions) {
    const sequence = place.sequence === undefined ? '' : `, frame ${place.sequence}`;
    super(
      `the log is damaged: ${what} (${place.file}, offset ${place.offset}${sequence}); ` +
        'it was left as it is; restore the data folder from a backup, or see with `tuplet repair` what is left',
      options,
    );
    this.what = what;
    this.place = place;
  }
}

/** A snapshot file is damaged, and was asked for by name. */
export class SnapshotDamaged extends Error {
  override readonly name = 'SnapshotDamaged';
  readonly place: DamagePlace;
  constructor(what: string, place: DamagePlace) {
    super(`a snapshot is damaged: ${what} (${place.file}, offset ${place.offset})`);
    this.place = place;
  }
}
