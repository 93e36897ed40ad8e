import { Client, credentials } from '@grpc/grpc-js';
import { echoMethod } from './echo-method.ts';
import { startScript } from './script.ts';
import { filler, type Target, type TargetClient } from './target.ts';

/** Starts a bare grpc-js echo in a process of its own: the measure of the unary door. */
export async function startEcho(): Promise<Target> {
  const server = await startScript('echo-server.js', []);
  return {
    name: 'bare echo',
    connect: async () => new EchoClient(server.address),
    clear: () => Promise.resolve(),
    serverCpuUs: () => [server.cpuUs()],
    close: () => server.close(),
  };
}

/** A write is an echo of as many bytes as the request of a write; nothing else is to be had. */
class EchoClient implements TargetClient {
  readonly #client: Client;
  readonly #message = Buffer.from(filler.padEnd(115, 'y'));

  constructor(address: string) {
    this.#client = new Client(address, credentials.createInsecure(), {
      'grpc.use_local_subchannel_pool': 1,
    });
  }

  write(): Promise<void> {
    const { path, requestSerialize, responseDeserialize } = echoMethod;
    return new Promise((resolve, reject) => {
      this.#client.makeUnaryRequest(
        path,
        requestSerialize,
        responseDeserialize,
        this.#message,
        (error) => {
          if (error === null) resolve();
          else reject(error);
        },
      );
    });
  }

  takeAny(): Promise<void> {
    return refuse();
  }

  send(): Promise<void> {
    return refuse();
  }

  receive(): Promise<number> {
    return refuse();
  }

  put(): Promise<void> {
    return refuse();
  }

  readKey(): Promise<void> {
    return refuse();
  }

  close(): Promise<void> {
    this.#client.close();
    return Promise.resolve();
  }
}

function refuse(): Promise<never> {
  return Promise.reject(new Error('an echo holds no tuples'));
}
