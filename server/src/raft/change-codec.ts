/**
 * Changes as payloads of entries: version, transition, number of steps (2 bytes), then kind and id (8
 * bytes) of each, then the context. Little endian. They are rare: small and plain beats compact.
 *
 * The change that leaves a joint configuration is empty bytes: it must never be refused for its weight.
 */
import { assert } from '../base/assert.ts';
import { FormatError } from '../base/format-error.ts';
import { type Change, type ChangeStep, leavesJoint, StepKind, Transition } from './change.ts';
import { noBytes } from './message.ts';

const version = 1;
const headBytes = 4;
const stepBytes = 9;
const stepsMax = 0xffff;

/** The payload of the entry that logs a change. */
export function encodeChange(change: Change): Uint8Array {
  const { transition, steps, context } = change;
  if (leavesJoint(change) && context.length === 0) return noBytes;
  assert(steps.length <= stepsMax, 'a change has few steps');
  const bytes = new Uint8Array(headBytes + steps.length * stepBytes + context.length);
  const view = new DataView(bytes.buffer);
  view.setUint8(0, version);
  view.setUint8(1, transition);
  view.setUint16(2, steps.length, true);
  let at = headBytes;
  for (const { kind, replica } of steps) {
    assert(Number.isSafeInteger(replica), 'an id is a safe integer');
    view.setUint8(at, kind);
    view.setFloat64(at + 1, replica, true);
    at += stepBytes;
  }
  bytes.set(context, at);
  return bytes;
}

/**
 * The change in a payload of `encodeChange`. Throws FormatError for one of another version; anything else
 * in a log is damage.
 */
export function decodeChange(bytes: Uint8Array): Change {
  if (bytes.length === 0) return { transition: Transition.auto, steps: [], context: noBytes };
  const [found = 0] = bytes;
  // Of another version all that is known is where its number stands.
  if (found !== version)
    throw new FormatError({ what: 'change of a configuration', found, read: version });
  assert(bytes.length >= headBytes, 'a change has a head');
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const transition = Object.values(Transition).find((value) => value === view.getUint8(1));
  assert(transition !== undefined, 'a transition is known');
  const steps: ChangeStep[] = [];
  const count = view.getUint16(2, true);
  let at = headBytes;
  assert(bytes.length >= at + count * stepBytes, 'a change is whole');
  for (let step = 0; step < count; step += 1) {
    const byte = view.getUint8(at);
    const kind = Object.values(StepKind).find((value) => value === byte);
    assert(kind !== undefined, 'a step is known');
    const replica = view.getFloat64(at + 1, true);
    assert(Number.isSafeInteger(replica), 'an id is a safe integer');
    steps.push({ kind, replica });
    at += stepBytes;
  }
  return { transition, steps, context: bytes.slice(at) };
}
