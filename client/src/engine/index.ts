export { type Code, codeOf, TupletError, type TupletErrorFacts } from '../error.ts';
export { Placement } from '../placement.ts';
export { type CallKind, callKinds, type OperationName } from './calls.ts';
export type {
  Cancel,
  Channel,
  ChannelEvents,
  ConnectChannel,
  EngineClock,
  EngineDoors,
  EngineRandom,
} from './doors.ts';
export { Engine, type EngineOptions } from './engine.ts';
export { Replies } from './envelope.ts';
export { clientLimits } from './limits.ts';
export {
  type Body,
  type Decoded,
  nothingHanded,
  Operation,
  type OperationInput,
  type SpaceReference,
} from './operation.ts';
