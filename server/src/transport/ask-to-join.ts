/** The call with which a node becomes one of a cluster. */
import { Channel, Metadata, type StatusObject, status } from '@grpc/grpc-js';
import type { Clock } from '../base/doors.ts';
import { linkJoinMs } from '../base/limits.ts';
import {
  type JoinAnswer,
  type JoinRequest,
  readJoinAnswer,
  writeJoinRequest,
} from './join-codec.ts';
import { channelOptions, serverName } from './peer-client.ts';
import { channelCredentials, type PeerCredentials } from './peer-credentials.ts';
import { joinPath, refusalTrailer } from './peer-service.ts';
import { refusalReasons } from './refusal.ts';

/** What asking one node came to. */
export type JoinOutcome =
  | { readonly kind: 'joined'; readonly answer: JoinAnswer }
  /** Asking again is of no use until somebody has changed something. */
  | { readonly kind: 'refused'; readonly message: string }
  /** It could not be reached, or cannot say now. */
  | { readonly kind: 'unavailable'; readonly message: string };

/** Whom to ask, and how. */
export interface JoinTarget {
  /** `host:port`. */
  readonly address: string;
  readonly credentials: PeerCredentials;
  readonly clock: Clock;
}

/** Asks the node at an address. Never rejects. */
export function askToJoin(
  { address, credentials, clock }: JoinTarget,
  request: JoinRequest,
): Promise<JoinOutcome> {
  const channel = new Channel(address, channelCredentials(credentials), {
    ...channelOptions,
    ...serverName(credentials),
  });
  return new Promise<JoinOutcome>((resolve) => {
    const call = channel.createCall(joinPath, Number.POSITIVE_INFINITY, null, null, null);
    const cancelLate = clock.after(linkJoinMs, () =>
      call.cancelWithStatus(status.UNAVAILABLE, `it has not answered for ${linkJoinMs} ms`),
    );
    let answer: Buffer | undefined;
    call.start(new Metadata(), {
      onReceiveMetadata: () => {},
      onReceiveMessage: (bytes: Buffer) => {
        answer = bytes;
      },
      onReceiveStatus: (ended) => {
        cancelLate();
        channel.close();
        resolve(outcomeOf(ended, answer));
      },
    });
    call.sendMessageWithContext({}, writeJoinRequest(request));
    call.halfClose();
    call.startRead();
  });
}

function outcomeOf(
  { code, details, metadata }: StatusObject,
  answer: Buffer | undefined,
): JoinOutcome {
  if (code === status.OK && answer !== undefined) {
    try {
      return { kind: 'joined', answer: readJoinAnswer(answer) };
    } catch (error) {
      return { kind: 'refused', message: error instanceof Error ? error.message : String(error) };
    }
  }
  const reason = metadata.get(refusalTrailer)[0];
  const isRefused = code === status.FAILED_PRECONDITION && refusalReasons.some((r) => r === reason);
  return { kind: isRefused ? 'refused' : 'unavailable', message: details };
}
