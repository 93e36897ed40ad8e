import { TupletError } from './error.ts';

/** Where servers listen unless they say otherwise. */
const portDefault = 7447;

/**
 * The servers of `tuplet://host[:port][,host[:port]…]`, as gRPC addresses. Throws INVALID_ARGUMENT for
 * anything else.
 */
export function addressesOf(url: string): readonly string[] {
  const match = /^tuplet:\/\/([^/?#]+)\/?$/.exec(url);
  const hosts = match?.[1]?.split(',') ?? [];
  const addresses = hosts.map(addressOf);
  const valid = addresses.filter((address) => address !== undefined);
  if (valid.length > 0 && valid.length === addresses.length) return valid;
  throw new TupletError({
    reason: 'REQUEST_INVALID',
    code: 'INVALID_ARGUMENT',
    definite: true,
    retryable: false,
    message: `${url} is not tuplet://host[:port][,host[:port]…]`,
    field: 'url',
  });
}

function addressOf(host: string): string | undefined {
  const match = /^(\[[0-9a-fA-F:.]+\]|[^[\]:@\s]+)(?::(\d{1,5}))?$/.exec(host);
  if (match === null) return undefined;
  const port = match[2] === undefined ? portDefault : Number(match[2]);
  if (port < 1 || port > 65_535) return undefined;
  return `${match[1]}:${port}`;
}
