// For users.
export { Float, Timestamp } from '@tuplet/proto';
export type {
  Admin,
  NodeDescription,
  PartitionStatus,
  ReadGroupOptions,
  RoutingRule,
  SpaceDescription,
  SpaceSettings,
} from './admin.ts';
export {
  metaOf,
  type Renewed,
  type Replaced,
  type TupleMeta,
  type WriteOutcome,
  type Written,
} from './answers.ts';
export { type Client, type ConnectOptions, connect, type TlsOptions } from './client.ts';
export type {
  ClusterDescription,
  ClusterGroup,
  ClusterNode,
  ClusterReplica,
  NodeState,
  ReplicaRole,
} from './cluster.ts';
export { type Code, TupletError, type TupletErrorFacts } from './error.ts';
export type {
  EventKind,
  EventPlace,
  NotifyOptions,
  NotifyPosition,
  Subscription,
  TupleEvent,
} from './notify.ts';
export type {
  CallOptions,
  ManyOptions,
  ReadOptions,
  TupleState,
  WaitOptions,
  WriteOptions,
} from './options.ts';
export type { Space, TupleReference, TupleVersion, WritableTuple } from './space.ts';
export {
  type MatchedField,
  type MatchedTuple,
  type Matcher,
  type Matchers,
  type Orderable,
  type Ordered,
  type Pattern,
  type ReadBack,
  type Rest,
  type Template,
  type TemplateField,
  t,
  type Union,
} from './template.ts';
export { float, type Value, type Writable } from './value.ts';
