/** Bytes of the map's formats that this version did not write. */
export class MapFormatError extends Error {
  override readonly name = 'MapFormatError';
}
