/**
 * Measures the hot paths: nanoseconds for each call, the best of 400 short rounds, so that a neighbour
 * on the same core spoils few of them.
 * npm run build && node proto/tools/measure.mjs
 */

import { ExchangeRequest } from '../dist/src/gen/contract.js';
import * as proto from '../dist/src/index.js';

const fields = ['job', 4711, 2.5, 'a name of a tile', true];
const bytes = proto.encodeTuple(fields);
const offsets = new proto.FieldOffsets().scan(bytes);
const template = proto.compileTemplate(
  proto.encodeTemplate([
    {
      matchers: [
        { kind: 'actual', value: 'job' },
        { kind: 'actual', value: 4711 },
        { kind: 'any' },
        { kind: 'formal', formal: proto.Kind.STRING },
      ],
      rest: true,
    },
  ]),
);
const ranged = proto.compileTemplate(
  proto.encodeTemplate([
    {
      matchers: [
        { kind: 'actual', value: 'job' },
        { kind: 'range', lower: { value: 1 }, upper: { value: 9_000 } },
      ],
      rest: true,
    },
  ]),
);
const templateBytes = proto.encodeTemplate([
  {
    matchers: [
      { kind: 'actual', value: 'job' },
      { kind: 'actual', value: 4711 },
    ],
    rest: true,
  },
]);
const routing = new proto.Routing('jobs', []);
const writer = new proto.Writer(4_096);
const call = {
  callId: 77,
  request: {
    kind: 'write',
    value: {
      space: { id: 3, mapEpoch: 5 },
      operation: {
        kind: {
          kind: 'session',
          value: { sessionId: 2 ** 40, sequence: 9_000, attempt: 1, floor: 8_990 },
        },
      },
      tuple: bytes,
    },
  },
};
const batch = { calls: Array.from({ length: 64 }, () => call) };
const batchBytes = ExchangeRequest.encode(batch);

const cases = {
  'encode a tuple of 5 fields': () => proto.encodeTuple(fields),
  'write it into a writer': () => {
    writer.reset();
    proto.writeTuple(writer, fields);
  },
  'check it': () => proto.checkTuple(bytes),
  'decode it': () => proto.decodeTuple(bytes),
  'find its fields': () => offsets.scan(bytes),
  'hash two fields': () => proto.hashOfTuple(bytes, offsets, [0, 1]),
  'its slot': () => routing.slotOfTuple(bytes, offsets),
  'match 4 matchers': () => proto.matchTuple(template, bytes, offsets),
  'match a range': () => proto.matchTuple(ranged, bytes, offsets),
  'compile a template of 2 actuals': () => proto.compileTemplate(templateBytes),
  'slots of a template': () => routing.slotsOfTemplate(template),
  'encode a call (of 64)': () => ExchangeRequest.encode(batch),
  'decode a call (of 64)': () => ExchangeRequest.decode(batchBytes, 'refuse'),
};

function measure(run, count) {
  const start = process.hrtime.bigint();
  for (let i = 0; i < count; i += 1) run();
  return Number(process.hrtime.bigint() - start) / count;
}

process.stdout.write(`a tuple of ${bytes.length} bytes, a batch of ${batchBytes.length}\n`);
for (const [name, run] of Object.entries(cases)) {
  const isBatch = name.includes('of 64');
  const count = isBatch ? 50 : 3_000;
  let best = Number.POSITIVE_INFINITY;
  for (let round = 0; round < 400; round += 1) best = Math.min(best, measure(run, count));
  process.stdout.write(
    `${name.padEnd(34)} ${(isBatch ? best / 64 : best).toFixed(0).padStart(6)} ns\n`,
  );
}
