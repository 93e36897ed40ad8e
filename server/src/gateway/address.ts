/** Addresses to listen at. */

/** Where a node listens unless told otherwise: on this machine alone. */
export const defaultListen = '127.0.0.1:7447';

/** Host and port of `host:port`, where an IPv6 host stands in brackets. Throws on anything else. */
export function addressOf(listen: string): { readonly host: string; readonly port: number } {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(listen);
  const host = match?.[1] ?? match?.[2];
  const port = Number(match?.[3]);
  if (host !== undefined && port <= 65_535) return { host, port };
  throw new Error(`${listen} is no address: expected host:port`);
}

/** Where clients can reach who listens there; undefined where that is every address of a machine. */
export function advertisedAddress(listen: string): string | undefined {
  const { host } = addressOf(listen);
  return host === '0.0.0.0' || /^[0:]+$/.test(host) ? undefined : listen;
}
