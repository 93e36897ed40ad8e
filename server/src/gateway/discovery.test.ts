import { Client, credentials } from '@grpc/grpc-js';
import test from 'ava';
import { start } from '../../test/gateway/start.ts';
import { startTestNode } from '../testing.ts';
import { addressOf } from './address.ts';

/** The status that health checks are given; the messages are small enough to write by hand. */
async function health(address: string, service: string): Promise<string> {
  const client = new Client(address, credentials.createInsecure());
  try {
    return await new Promise((resolve, reject) => {
      client.makeUnaryRequest(
        '/grpc.health.v1.Health/Check',
        () => Buffer.concat([Buffer.from([0x0a, service.length]), Buffer.from(service)]),
        (bytes: Buffer) => (bytes[1] === 1 ? 'SERVING' : 'NOT_SERVING'),
        {},
        (error, answer) => {
          if (error === null) resolve(answer ?? '');
          else reject(error);
        },
      );
    });
  } finally {
    client.close();
  }
}

test('health checks are answered for the node and for each service', async (t) => {
  const { node } = await start(t);
  for (const service of ['', 'tuplet.v1.TupleSpaceService', 'tuplet.v1.AdminService'])
    t.is(await health(node.address, service), 'SERVING');
  await t.throwsAsync(health(node.address, 'tuplet.v1.None'));
});

test('reflection shows the published contract', async (t) => {
  const { node } = await start(t);
  const client = new Client(node.address, credentials.createInsecure());
  t.teardown(() => client.close());
  const stream = client.makeBidiStreamRequest(
    '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo',
    (bytes: Buffer) => bytes,
    (bytes: Buffer) => bytes,
  );
  // list_services = "": field 7, an empty string.
  stream.write(Buffer.from([0x3a, 0x00]));
  const answer = await new Promise<Buffer>((resolve) => stream.on('data', resolve));
  stream.end();
  const text = answer.toString('latin1');
  for (const service of ['TupleSpaceService', 'SessionService', 'AdminService'])
    t.true(text.includes(`tuplet.v1.${service}`), service);
});

test('two nodes at port 0 get ports of their own, on loopback', async (t) => {
  const one = await startTestNode();
  const two = await startTestNode();
  t.teardown(() => Promise.all([one.close(), two.close()]));
  t.not(one.address, two.address);
  t.regex(one.address, /^127\.0\.0\.1:\d+$/);
});

test('an address is host and port', (t) => {
  t.deepEqual(addressOf('localhost:7447'), { host: 'localhost', port: 7447 });
  t.deepEqual(addressOf('[::1]:0'), { host: '::1', port: 0 });
  for (const wrong of ['', '7447', 'host:', 'host:99999', '::1:7447', 'host:port'])
    t.throws(() => addressOf(wrong), { message: /host:port/ }, wrong);
});
