import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { Client, credentials } from '@grpc/grpc-js';
import { echoMethod } from './echo-method.ts';
import { processCpuUs } from './process-cpu.ts';
import { filler, type Target, type TargetClient } from './target.ts';

/** Starts a bare grpc-js echo in a process of its own: the measure of the unary door. */
export async function startEcho(): Promise<Target> {
  const file = fileURLToPath(new URL('echo-server.js', import.meta.url));
  const server = spawn(process.execPath, [file], { stdio: ['ignore', 'pipe', 'inherit'] });
  const address = await new Promise<string>((resolve, reject) => {
    server.once('exit', () => reject(new Error('the echo server did not start')));
    createInterface({ input: server.stdout }).once('line', resolve);
  });
  return {
    name: 'bare echo',
    connect: async () => new EchoClient(address),
    clear: () => Promise.resolve(),
    serverCpuUs: () => processCpuUs(server.pid ?? 0),
    close: async () => {
      const exited = new Promise((resolve) => server.once('exit', resolve));
      server.kill('SIGTERM');
      await exited;
    },
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
