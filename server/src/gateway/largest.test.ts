/** The largest that a client may send, through gateway, log and recovery. */
import { encodeTuple, limits, StoredTag, Writer } from '@tuplet/proto';
import * as contract from '@tuplet/proto/contract';
import test from 'ava';
import { BareClient } from '../../test/gateway/client.ts';
import { start } from '../../test/gateway/start.ts';
import { any, template, tuple } from '../../test/router/bench.ts';
import { logSegmentBytesMin } from '../base/limits.ts';
import { MemoryDisk } from '../host/memory-disk.ts';
import { type RunningNode, startNode } from '../node.ts';

const { methods } = contract.TupleSpaceService;
const admin = contract.AdminService.methods;
const space = { name: 'large' };
const now = { seconds: 0, nanos: 0 };

/** A tuple of so many bytes, all of one tag. */
function tupleOfSize(bytes: number): Uint8Array {
  const bounds = { tupleBytesMax: bytes };
  const around = encodeTuple(['job', new Uint8Array(bytes - 100)], bounds).length - (bytes - 100);
  const made = encodeTuple(['job', new Uint8Array(bytes - around)], bounds);
  if (made.length !== bytes) throw new Error(`${made.length} bytes instead of ${bytes}`);
  return made;
}

test('the largest requests fit a log of the smallest segments, and are there after a start', async (t) => {
  const disk = new MemoryDisk();
  const errors: Error[] = [];
  const serve = (): Promise<RunningNode> =>
    startNode({
      disk,
      segmentBytes: logSegmentBytesMin,
      listen: '127.0.0.1:0',
      onFatal: (error) => errors.push(error),
    });
  let node = await serve();
  let client = new BareClient(node.address);
  const settings = { tupleBytesMax: limits.tupleBytesMax };
  await client.call(admin.createSpace, { name: 'large', settings });
  await client.call(methods.write, { space, tuple: tupleOfSize(limits.tupleBytesMax) });
  const items = Array.from({ length: 1_000 }, () => ({ tuple: tupleOfSize(3_600) }));
  const { outcomes } = await client.call(methods.writeMany, { space, items });
  t.true(outcomes.every(({ kind }) => kind?.kind === 'written'));
  client.close();
  await node.close();
  node = await serve();
  client = new BareClient(node.address);
  t.is((await client.call(methods.count, { space })).count, 1_001);
  const request = { space, template: template('job', any), wait: now };
  const { found } = await client.call(methods.take, request);
  t.is(found?.tuple?.length, limits.tupleBytesMax);
  client.close();
  await node.close();
  t.deepEqual(errors, []);
});

/**
 * `['job', [[{'': null}, …], …]]` as some encoders write it: each empty key left out, which costs the
 * canonical form two bytes more for each twelve.
 */
function tupleWithoutKeys(lists: number): Uint8Array {
  const record = [StoredTag.RECORD, 6, 0x0a, 4, 0x12, 2, StoredTag.NULL, 0];
  const inner = new Writer();
  for (let each = 0; each < 1_024; each += 1) {
    inner.tag(1, 2);
    inner.lengthDelimited(new Uint8Array(record));
  }
  const list = listOf([inner.finish()]);
  const outer = new Writer();
  for (let each = 0; each < lists; each += 1) {
    outer.tag(1, 2);
    outer.lengthDelimited(list);
  }
  const value = listOf([outer.finish()]);
  const made = new Writer();
  made.raw(tuple('job'));
  made.tag(1, 2);
  made.lengthDelimited(value);
  return made.finish();
}

function listOf(content: readonly Uint8Array[]): Uint8Array {
  const writer = new Writer();
  writer.byte(StoredTag.LIST);
  for (const each of content) writer.lengthDelimited(each);
  return writer.finish();
}

test('tuples that outgrow the limit of a request in canonical form are refused, and nothing else happens', async (t) => {
  const { client } = await start(t);
  const items = [85, 85, 85, 85, 15].map((lists) => ({ tuple: tupleWithoutKeys(lists) }));
  const sentBytes = items.reduce((sum, item) => sum + item.tuple.length, 0);
  t.true(sentBytes < limits.messageBytesMax, `${sentBytes}`);
  const request = { space: { name: 'default' }, items };
  const failure = await client.failure(methods.writeMany, request);
  t.is(failure.reason, 'REQUEST_TOO_LARGE');
  t.is(failure.metadata.get('field'), 'items');
  t.is((await client.call(methods.count, { space: { name: 'default' } })).count, 0);
  await client.call(methods.write, { space: { name: 'default' }, tuple: tupleWithoutKeys(85) });
  t.is((await client.call(methods.count, { space: { name: 'default' } })).count, 1);
});

test('a routing rule for a tag of more than a kilobyte is refused: every call would hash against it', async (t) => {
  const { client } = await start(t);
  const tag = (length: number): Uint8Array => {
    const writer = new Writer();
    writer.byte(StoredTag.STRING);
    writer.lengthDelimited(new Uint8Array(length).fill(97));
    return writer.finish();
  };
  const settings = (length: number): contract.SpaceSettingsInit => ({
    rules: [{ tag: tag(length), spread: 2, fields: [1] }],
  });
  const refused = { name: 'large', settings: settings(1_022) };
  const failure = await client.failure(admin.createSpace, refused);
  t.is(failure.reason, 'ROUTING_RULE');
  t.is(failure.metadata.get('field'), 'settings.rules[0].tag');
  await client.call(admin.createSpace, { name: 'large', settings: settings(1_021) });
});
