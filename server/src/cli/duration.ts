import { InvalidArgumentError } from 'commander';

const units = new Map([
  ['ms', 1],
  ['s', 1000],
  ['m', 60_000],
  ['h', 3_600_000],
  ['d', 86_400_000],
]);

/** `250ms`, `5s`, `1.5m`, `2h`, `1d` or `0` in milliseconds. */
export function parseDuration(text: string): number {
  if (text === '0') return 0;
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/.exec(text);
  const unit = units.get(match?.[2] ?? '');
  if (match === null || unit === undefined) {
    throw new InvalidArgumentError('A duration looks like 250ms, 5s, 1.5m, 2h or 1d.');
  }
  return Number(match[1]) * unit;
}

/** A whole number of at least `least`. */
export function parseCount(least: number): (text: string) => number {
  return (text) => {
    const count = Number(text);
    if (/^\d+$/.test(text) && Number.isSafeInteger(count) && count >= least) return count;
    throw new InvalidArgumentError(`Expected a whole number of at least ${least}.`);
  };
}
