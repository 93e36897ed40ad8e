/** What data of ours says about its format, where this build reads another one. */
export interface FormatFound {
  /** What has the format: `entry of the log`, `snapshot`, … */
  readonly what: string;
  /** The format it has. */
  readonly found: number;
  /** The only format that this build reads. */
  readonly read: number;
  /** Its file within the data folder, where who throws knows it. */
  readonly file?: string;
}

/**
 * Bytes are of a format that this build does not read. No damage: their checksum was right, and the
 * build that wrote them reads them. Thrown while data is opened, before anything is served.
 */
export class FormatError extends Error {
  override readonly name = 'FormatError';
  readonly format: FormatFound;

  constructor(format: FormatFound, options?: ErrorOptions) {
    const { what, found, read, file } = format;
    const place = file === undefined ? '' : `${file}: `;
    super(`${place}the ${what} has format ${found}, this build reads format ${read}`, options);
    this.format = format;
  }
}
