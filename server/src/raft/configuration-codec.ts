/**
 * Configurations as bytes, for snapshots: version, whether a joint one is left by itself, then voters,
 * outgoing voters, learners and learners to come, each as a count (2 bytes) and ids (8 bytes each).
 * Numbers are little-endian.
 */
import { assert } from '../base/assert.ts';
import { FormatError } from '../base/format-error.ts';
import { assertConfiguration, type Configuration } from './configuration.ts';

const version = 1;
const uint32Count = 2 ** 32;

/** The bytes of a configuration. */
export function encodeConfiguration(configuration: Configuration): Uint8Array {
  const { voters, outgoing, learners, learnersNext, autoLeave } = configuration;
  const lists = [voters, outgoing, learners, learnersNext];
  const ids = lists.reduce((count, list) => count + list.length, 0);
  const bytes = new Uint8Array(2 + lists.length * 2 + ids * 8);
  const view = new DataView(bytes.buffer);
  bytes[0] = version;
  bytes[1] = autoLeave ? 1 : 0;
  let at = 2;
  for (const list of lists) {
    view.setUint16(at, list.length, true);
    at += 2;
    for (const id of list) {
      view.setUint32(at, id % uint32Count, true);
      view.setUint32(at + 4, Math.floor(id / uint32Count), true);
      at += 8;
    }
  }
  return bytes;
}

/**
 * What `encodeConfiguration` wrote. Throws FormatError for another version; anything else in a snapshot is
 * damage.
 */
export function decodeConfiguration(bytes: Uint8Array): Configuration {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const [found] = bytes;
  assert(found !== undefined, 'a configuration has a version');
  // Of another version all that is known is where its number stands.
  if (found !== version) throw new FormatError({ what: 'configuration', found, read: version });
  assert(bytes.length >= 2, 'a configuration has a head');
  let at = 2;
  const list = (): number[] => {
    assert(at + 2 <= bytes.length, 'a configuration is whole');
    const count = view.getUint16(at, true);
    at += 2;
    assert(at + count * 8 <= bytes.length, 'a configuration is whole');
    const ids: number[] = [];
    for (let each = 0; each < count; each += 1, at += 8) {
      ids.push(view.getUint32(at, true) + view.getUint32(at + 4, true) * uint32Count);
    }
    return ids;
  };
  const configuration: Configuration = {
    voters: list(),
    outgoing: list(),
    learners: list(),
    learnersNext: list(),
    autoLeave: bytes[1] === 1,
  };
  assert(at === bytes.length, 'a configuration ends where its bytes do');
  assertConfiguration(configuration);
  return configuration;
}
