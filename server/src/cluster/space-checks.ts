/** What a space's name and settings must satisfy, whatever spaces there are. */
import { checkRouting, encodeValue, limits, type RoutingRule } from '@tuplet/proto';
import { routingRulesMax, routingTagBytesMax, spaceNameBytesMax } from '../base/limits.ts';
import type { MapProblem, SpaceSettings } from './map-command.ts';

const namePattern = /^[A-Za-z0-9][A-Za-z0-9._/-]*$/;

/** What is wrong with a name, if anything. All its characters are ASCII, so length is bytes. */
export function spaceNameProblem(name: string, field: string): MapProblem | undefined {
  if (name.length === 0) return { reason: 'SPACE_NAME', field, message: 'a space needs a name' };
  if (name.length > spaceNameBytesMax) {
    const message = `a name of ${name.length} characters exceeds ${spaceNameBytesMax}`;
    return { reason: 'SPACE_NAME', field, message, limit: spaceNameBytesMax };
  }
  if (!namePattern.test(name)) {
    const message =
      "a name begins with a letter or digit and has letters, digits, '.', '_', '-', '/'";
    return { reason: 'SPACE_NAME', field, message };
  }
  return undefined;
}

/** What is wrong with settings, if anything. Whether `like` exists only the map knows. */
export function spaceSettingsProblem(settings: SpaceSettings): MapProblem | undefined {
  if (settings.like !== undefined) {
    const problem = spaceNameProblem(settings.like, 'settings.like');
    if (problem !== undefined) return problem;
    if (settings.rules.length > 0) {
      const message = 'a space like another has its rules, and none of its own';
      return { reason: 'ROUTING_RULE', field: 'settings.rules', message };
    }
  }
  const bytesMax = settings.tupleBytesMax;
  if (!Number.isSafeInteger(bytesMax) || bytesMax < 1 || bytesMax > limits.tupleBytesMax) {
    const message = `${bytesMax} is not a number of bytes in 1..${limits.tupleBytesMax}`;
    const field = 'settings.tuple_bytes_max';
    return { reason: 'VALUE_OUT_OF_RANGE', field, message, limit: limits.tupleBytesMax };
  }
  return rulesProblem(settings.rules);
}

function rulesProblem(rules: readonly RoutingRule[]): MapProblem | undefined {
  if (rules.length > routingRulesMax) {
    const message = `${rules.length} rules exceed ${routingRulesMax}`;
    return { reason: 'ROUTING_RULE', field: 'settings.rules', message, limit: routingRulesMax };
  }
  for (const [index, { tag }] of rules.entries()) {
    const bytes = encodeValue(tag).length;
    if (bytes <= routingTagBytesMax) continue;
    const message = `the tag has ${bytes} bytes, limit ${routingTagBytesMax}`;
    const field = `settings.rules[${index}].tag`;
    return { reason: 'ROUTING_RULE', field, message, limit: routingTagBytesMax };
  }
  const problem = checkRouting(rules);
  if (problem === null) return undefined;
  return { reason: 'ROUTING_RULE', field: `settings.${problem.field}`, message: problem.message };
}
