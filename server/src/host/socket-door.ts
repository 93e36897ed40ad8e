/** The real sockets of who listens. */
import { createServer } from 'node:net';
import type { SocketDoor } from '../transport/socket-door.ts';

/** TCP of this machine. */
export const hostSockets: SocketDoor = {
  async listen({ host, port, connectionsMax }, accept) {
    const server = createServer({ noDelay: true }, accept);
    // Beyond it connections are closed at once, before anything is read from them.
    server.maxConnections = connectionsMax;
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen({ host, port }, () => {
        server.off('error', reject);
        resolve();
      });
    });
    const bound = server.address();
    return {
      port: typeof bound === 'object' && bound !== null ? bound.port : port,
      close: () => new Promise<void>((resolve) => server.close(() => resolve())),
    };
  },
};
