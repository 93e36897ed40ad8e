/** A bare grpc-js server that echoes bytes: what any unary door over grpc-js could reach at best. */
import { Server, ServerCredentials } from '@grpc/grpc-js';
import { echoMethod } from './echo-method.ts';

const server = new Server();
server.addService(
  { echo: echoMethod },
  {
    echo: (call: { readonly request: Buffer }, callback: (error: null, answer: Buffer) => void) =>
      callback(null, call.request),
  },
);
server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, port) => {
  if (error !== null) throw error;
  process.stdout.write(`127.0.0.1:${port}\n`);
});
