/** The picture that the demo renders: a seahorse valley of the Mandelbrot set, tile by tile. */

/** Pixels on a side of the picture and of a tile. */
export const pictureSize = 1024;
export const tileSize = 64;
export const tilesPerSide: number = pictureSize / tileSize;

const centre = { x: -0.743643, y: 0.131825 };
const width = 0.012;
const iterationsMax = 20_000;

/** One tile as RGB rows, top to bottom; tile columns and rows count from 0. */
export function renderTile(column: number, row: number): Uint8Array {
  const pixels = new Uint8Array(tileSize * tileSize * 3);
  let at = 0;
  for (let y = 0; y < tileSize; y++) {
    for (let x = 0; x < tileSize; x++) {
      const cx = centre.x + ((column * tileSize + x) / pictureSize - 0.5) * width;
      const cy = centre.y + ((row * tileSize + y) / pictureSize - 0.5) * width;
      const count = escapeTime(cx, cy);
      pixels[at++] = count === iterationsMax ? 0 : (count * 5) & 255;
      pixels[at++] = count === iterationsMax ? 0 : (count * 3) & 255;
      pixels[at++] = count === iterationsMax ? 32 : (128 + count * 2) & 255;
    }
  }
  return pixels;
}

function escapeTime(cx: number, cy: number): number {
  let x = 0;
  let y = 0;
  let count = 0;
  while (x * x + y * y <= 4 && count < iterationsMax) {
    const next = x * x - y * y + cx;
    y = 2 * x * y + cy;
    x = next;
    count++;
  }
  return count;
}

/** A picture put together from tiles. */
export class Picture {
  readonly rgb: Uint8Array = new Uint8Array(pictureSize * pictureSize * 3);

  /** Copies a tile to its place. */
  place(column: number, row: number, tile: Uint8Array): void {
    const stride = tileSize * 3;
    for (let y = 0; y < tileSize; y++) {
      const to = ((row * tileSize + y) * pictureSize + column * tileSize) * 3;
      this.rgb.set(tile.subarray(y * stride, (y + 1) * stride), to);
    }
  }
}

/** The whole picture, one tile after the other in this process. */
export function renderSequentially(): Picture {
  const picture = new Picture();
  for (let row = 0; row < tilesPerSide; row++) {
    for (let column = 0; column < tilesPerSide; column++) {
      picture.place(column, row, renderTile(column, row));
    }
  }
  return picture;
}
