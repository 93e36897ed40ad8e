/** Batches of routers and leaders, and every kind of item, for tests. */
import { encodeTemplate, encodeTuple, Template } from '@tuplet/proto';
import type { NodeId, PartitionId } from '../base/ids.ts';
import type { Prng } from '../base/prng.ts';
import type { MapOutcome } from '../cluster/map-command.ts';
import type { Answer, BetweenLeaders, Change, ToLeader } from '../coordination/messages.ts';
import type { Result } from '../space/outcome.ts';
import {
  type CoordinationBatch,
  CoordinationBatchWriter,
  type CoordinationItem,
  readCoordinationBatch,
} from './coordination-codec.ts';
import { CoordinationMemory } from './coordination-memory.ts';
import type { HistoryOutcome } from './history-codec.ts';
import type { SpaceCommand } from './map-call-codec.ts';
import {
  answers,
  betweenLeaders,
  changes,
  fromLeaderItem,
  historyOutcomes,
  items,
  mapOutcomes,
  placementCommands,
  results,
  spaceCommands,
  toLeaderItem,
  toLeaders,
} from './testing-items.ts';

const memory = new CoordinationMemory();

/** Reads a batch. */
export function read(bytes: Uint8Array): CoordinationBatch {
  return readCoordinationBatch(bytes, memory);
}

/** A batch from node 3 to node 4. */
export function encode(...some: readonly CoordinationItem[]): Buffer {
  const writer = new CoordinationBatchWriter(3 as NodeId, 4 as NodeId);
  for (const item of some) if (!writer.add(item)) throw new Error('full');
  return writer.finish();
}

/** The same in objects that can be compared: a template is its bytes, `inDoubt: false` may be left out. */
export function plain(value: unknown): unknown {
  if (value instanceof Template) {
    return { template: Buffer.from(value.bytes.slice(value.start, value.end)).toString('hex') };
  }
  if (value instanceof Uint8Array) return { bytes: Buffer.from(value).toString('hex') };
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([name, inner]) => name !== 'inDoubt' || inner !== false)
      .map(([name, inner]) => [name, plain(inner)]),
  );
}

/** One kind of item: what it is, how it is made up, and the fields of coordination.proto that lead to it. */
export interface ItemKind {
  readonly name: string;
  readonly make: (prng: Prng) => CoordinationItem;
  readonly path: readonly string[];
}

/** Every kind of item, and of each every kind of message, answer and change. */
export const everyKind: readonly ItemKind[] = [
  ...kindsOf<CoordinationItem>([], items, (_, item) => item),
  ...kindsOf<ToLeader>(['toLeader'], toLeaders, toLeaderItem),
  ...kindsOf<Change>(['toLeader', 'mutate'], changes, (prng, change) =>
    toLeaderItem(prng, { ...toLeaders.mutate(prng), change }),
  ),
  ...kindsOf<Answer>(['fromLeader'], answers, fromLeaderItem),
  ...kindsOf<Result>(['fromLeader', 'result'], results, (prng, result) =>
    fromLeaderItem(prng, { kind: 'result', m: 1, result }),
  ).map((kind) => {
    const { path } = kind;
    return path.includes('handed') ? kind : { ...kind, path: path.toSpliced(2, 0, 'change') };
  }),
  ...kindsOf<BetweenLeaders>(['betweenLeaders'], betweenLeaders, (_, message) => ({
    kind: 'between-leaders',
    partition: 7 as PartitionId,
    message,
  })),
  ...kindsOf<HistoryOutcome>(['historyAnswer'], historyOutcomes, (_, outcome) => ({
    kind: 'history-answer',
    call: 7,
    outcome,
  })),
  ...kindsOf<SpaceCommand>(['mapCall'], spaceCommands, (_, command) => ({
    kind: 'map-call',
    call: 7,
    command,
  })),
  {
    name: 'mapCall placement',
    make: (prng) => ({ kind: 'map-call', call: 7, command: placementCommands['add-node'](prng) }),
    path: ['mapCall', 'placement'],
  },
  ...kindsOf<MapOutcome>(['mapAnswer'], mapOutcomes, (_, outcome) => ({
    kind: 'map-answer',
    call: 7,
    outcome,
  })),
];

function kindsOf<U extends { readonly kind: string }>(
  path: readonly string[],
  makers: Readonly<Record<U['kind'], (prng: Prng) => U>>,
  item: (prng: Prng, made: U) => CoordinationItem,
): ItemKind[] {
  return Object.entries<(prng: Prng) => U>(makers).map(([kind, make]) => {
    const field = kind.replace(/-(.)/g, (_, letter: string) => letter.toUpperCase());
    return {
      name: [...path, kind].join(' '),
      make: (prng) => item(prng, make(prng)),
      path: [...path, field],
    };
  });
}

/** A tuple of one field of bytes that has so many bytes, or a few less. */
export function bytesTuple(size: number): Uint8Array {
  return encodeTuple([new Uint8Array(size - 12).fill(7)], { tupleBytesMax: size });
}

/** A template of so many bytes, or a few less. */
export function prefixTemplate(size: number): Uint8Array {
  return encodeTemplate([{ matchers: [{ kind: 'prefix', prefix: 'x'.repeat(size - 30) }] }]);
}
