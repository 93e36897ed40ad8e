/** A line of an export: a space with its rules, or a tuple. */
import type { RoutingRule, SpaceSettings, Writable } from '@tuplet/client';
import { decodeTuple, limits } from '@tuplet/proto';
import type { ClusterMapState } from '../cluster/cluster-map.ts';
import type { SpaceRecord } from '../cluster/map-command.ts';
import { valueFromJson, valueToJson } from './value-json.ts';

/** One line, read. */
export type ExportLine =
  | { readonly kind: 'space'; readonly space: string; readonly settings: SpaceSettings }
  | {
      readonly kind: 'tuple';
      readonly space: string;
      readonly tuple: readonly Writable[];
      /** When its lease ends, in milliseconds since 1970; undefined: never. */
      readonly leaseEndMs: number | undefined;
    };

/** Any tuple that a space may allow. */
const bounds = { tupleBytesMax: limits.tupleBytesMax };

/** The lines of all spaces; one that is like another comes after it. */
export function spaceLines({ spaces }: Pick<ClusterMapState, 'spaces'>): string[] {
  const living = new Set(spaces.map(({ name }) => name));
  return spaces.map(({ name, settings, rules }) => {
    const like =
      settings.like !== undefined && living.has(settings.like) ? settings.like : undefined;
    return JSON.stringify({
      space: name,
      // Those in force: of a space like one that is no more, its rules are all that is left of that.
      ...(like === undefined ? { rules: rules.map(ruleToJson) } : { like }),
      tupleBytesMax: settings.tupleBytesMax,
    });
  });
}

function ruleToJson({ tag, spread, fields }: SpaceRecord['rules'][number]): object {
  return { tag: valueToJson(tag), spread, fields };
}

/** The line of a tuple; `stored` is its encoding. */
export function tupleLine(space: string, stored: Uint8Array, leaseEndMs: number): string {
  const tuple = decodeTuple(stored, bounds).map(valueToJson);
  if (leaseEndMs === Number.POSITIVE_INFINITY) return JSON.stringify({ space, tuple });
  return JSON.stringify({ space, tuple, leaseEnd: new Date(leaseEndMs).toISOString() });
}

/** Reads a line. Throws TypeError with a sentence. */
export function parseLine(text: string): ExportLine {
  let line: unknown;
  try {
    line = JSON.parse(text);
  } catch (error) {
    throw new TypeError('it is no JSON', { cause: error });
  }
  if (typeof line !== 'object' || line === null) throw new TypeError('it is no object');
  const fields = new Map<string, unknown>(Object.entries(line));
  const space = fields.get('space');
  if (typeof space !== 'string') throw new TypeError('it names no space');
  const tuple = fields.get('tuple');
  if (tuple === undefined) return { kind: 'space', space, settings: settingsOf(fields) };
  if (!Array.isArray(tuple)) throw new TypeError('a tuple is a list');
  const leaseEndMs = leaseEndOf(fields.get('leaseEnd'));
  return { kind: 'tuple', space, tuple: tuple.map(valueFromJson), leaseEndMs };
}

function leaseEndOf(text: unknown): number | undefined {
  if (text === undefined) return undefined;
  const ms = typeof text === 'string' ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(ms)) throw new TypeError('leaseEnd is an instant in ISO 8601');
  return ms;
}

function settingsOf(fields: ReadonlyMap<string, unknown>): SpaceSettings {
  const like = fields.get('like');
  const rules = fields.get('rules');
  const tupleBytesMax = fields.get('tupleBytesMax');
  if (like !== undefined && typeof like !== 'string') throw new TypeError('like is a name');
  if (rules !== undefined && !Array.isArray(rules)) throw new TypeError('rules is a list');
  if (tupleBytesMax !== undefined && typeof tupleBytesMax !== 'number')
    throw new TypeError('tupleBytesMax is a number');
  return {
    ...(like === undefined ? {} : { like }),
    ...(rules === undefined ? {} : { rules: rules.map(ruleOf) }),
    ...(tupleBytesMax === undefined ? {} : { tupleBytesMax }),
  };
}

function ruleOf(rule: unknown): RoutingRule {
  if (typeof rule !== 'object' || rule === null) throw new TypeError('a rule is an object');
  const parts = new Map<string, unknown>(Object.entries(rule));
  const spread = parts.get('spread');
  const fields = parts.get('fields');
  if (typeof spread !== 'number') throw new TypeError('spread is a number');
  if (!isNumbers(fields)) throw new TypeError('fields is a list of numbers');
  return { tag: valueFromJson(parts.get('tag')), spread, fields };
}

function isNumbers(list: unknown): list is readonly number[] {
  return Array.isArray(list) && list.every((each) => typeof each === 'number');
}
