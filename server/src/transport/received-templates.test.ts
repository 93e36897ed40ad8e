import type { Template } from '@tuplet/proto';
import test from 'ava';
import type { NodeId } from '../base/ids.ts';
import { keptBytesMax, keptChunkBytes } from '../base/limits.ts';
import { Prng } from '../base/prng.ts';
import { CoordinationBatchWriter, readCoordinationBatch } from './coordination-codec.ts';
import { CoordinationMemory } from './coordination-memory.ts';
import { prefixTemplate } from './testing-coordination.ts';
import { compiled, toLeaderItem, toLeaders } from './testing-items.ts';

const prng = new Prng(1);

/** The template of a take as it comes from another node. */
function received(
  memory: CoordinationMemory,
  template: Template,
  ended: { readonly waitEnded?: boolean; readonly cancelled?: boolean } = {},
): Template {
  const take = toLeaders.take(prng);
  const query = { ...take.query, template };
  const message = { ...take, query, waitEnded: false, cancelled: false, ...ended };
  const writer = new CoordinationBatchWriter(1 as NodeId, 2 as NodeId);
  writer.add(toLeaderItem(prng, message));
  const batch = writer.finish();
  const [item] = readCoordinationBatch(batch, memory).items;
  batch.fill(0xff);
  if (item?.kind !== 'to-leader' || item.message.kind !== 'take') throw new Error('no take');
  return item.message.query.template;
}

const bytesOf = ({ bytes, start, end }: Template): Buffer => Buffer.from(bytes.slice(start, end));
const small = (i: number): Template => compiled(prefixTemplate(40 + (i % 80)));

test('calls that wait with the same template share it; others do not', (t) => {
  const memory = new CoordinationMemory();
  const first = received(memory, small(1));
  t.is(received(memory, small(1)), first);
  t.not(received(memory, small(2)), first);
  t.not(received(memory, small(1), { waitEnded: true }), first);
  t.not(received(memory, small(1), { cancelled: true }), first);
  t.is(received(memory, small(1)), first);
});

test('of many templates each is told from the others, whatever bucket it falls into', (t) => {
  const memory = new CoordinationMemory();
  for (let i = 0; i < 2_000; i += 1) {
    const sent = compiled(prefixTemplate(50));
    sent.bytes[sent.end - 1] = 0x30 + (i % 64);
    sent.bytes[sent.end - 2] = 0x30 + Math.floor(i / 64);
    t.deepEqual(bytesOf(received(memory, sent)), bytesOf(sent));
  }
});

test('what waits holds a small chunk at most, and a large template nothing else', (t) => {
  const memory = new CoordinationMemory();
  t.is(received(memory, small(3)).bytes.length, keptChunkBytes);
  const large = compiled(prefixTemplate(keptBytesMax + 40));
  const kept = received(memory, large);
  t.is(kept.bytes.length, large.bytes.length);
  t.not(received(memory, large), kept);
});
