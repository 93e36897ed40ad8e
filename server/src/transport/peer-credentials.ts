/** How nodes know each other, as grpc-js takes it. */
import { ChannelCredentials, ServerCredentials } from '@grpc/grpc-js';

/** PEM texts of mutual TLS: the same certificate to listen and to dial with. */
export interface MutualTls {
  readonly kind: 'mutual-tls';
  /** The authority that has signed the certificates of all nodes, and nobody else's. */
  readonly authority: Buffer;
  readonly certificate: Buffer;
  readonly key: Buffer;
  /** The name that all nodes' certificates bear; undefined: the host of the address that is dialled. */
  readonly serverName?: string;
}

/** What a node shows to its peers, and wants to see of them. */
export type PeerCredentials = { readonly kind: 'insecure' } | MutualTls;

/** For whoever listens. */
export function serverCredentials(credentials: PeerCredentials): ServerCredentials {
  if (credentials.kind === 'insecure') return ServerCredentials.createInsecure();
  const { authority, certificate, key } = credentials;
  return ServerCredentials.createSsl(
    authority,
    [{ cert_chain: certificate, private_key: key }],
    true,
  );
}

/** For whoever dials. */
export function channelCredentials(credentials: PeerCredentials): ChannelCredentials {
  if (credentials.kind === 'insecure') return ChannelCredentials.createInsecure();
  return ChannelCredentials.createSsl(
    credentials.authority,
    credentials.key,
    credentials.certificate,
  );
}
