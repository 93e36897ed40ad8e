/** Two nodes' meshes without hosts or sockets, for tests. */
import { HandClock } from '../../test/router/bench.ts';
import type { Cancel } from '../base/doors.ts';
import type {
  GroupId,
  LogIndex,
  NodeId,
  PartitionId,
  SpaceId,
  StampMs,
  Term,
} from '../base/ids.ts';
import type { MapOutcome, SpaceRecord, SpaceSettings } from '../cluster/map-command.ts';
import type { PlacementCommand } from '../cluster/placement-types.ts';
import type { CoordinatorId, ToLeader } from '../coordination/messages.ts';
import type { MapAnswer } from '../partition/map-group.ts';
import type { MapPort } from '../partition/map-port.ts';
import type { RouterPort } from '../partition/routers.ts';
import type { Message } from '../raft/message.ts';
import type { Lane } from '../transport/lane.ts';
import type { MapCallCommand } from '../transport/map-call-codec.ts';
import type { IndexAnswer } from './index-calls.ts';
import { Mesh, type MeshHost, type MeshLinks } from './mesh.ts';

export const one: NodeId = 1 as NodeId;
export const two: NodeId = 2 as NodeId;

/** A space of the map, with the epoch in which it came. */
export function created(name: string, epoch: number): MapOutcome {
  const settings: SpaceSettings = { rules: [], like: undefined, tupleBytesMax: 1_000 };
  const createdAtMs = 5 as StampMs;
  const id = epoch as SpaceId;
  const space: SpaceRecord = { id, name, settings, routingName: name, rules: [], createdAtMs };
  return { kind: 'created', space, epoch };
}

/** The part of a cluster map that the mesh looks at. */
function fakeCluster(map: FakeMap): MapPort['cluster'] {
  return {
    get epoch() {
      return map.mapEpoch;
    },
    get appliedIndex() {
      return map.appliedIndex;
    },
    get placementVersion() {
      return map.nodes.length;
    },
    node: () => undefined,
    nodes: () => map.nodes.map((id) => ({ id, state: 'member', peerAddress: `node-${id}:7448` })),
    space: (name: string): unknown => (map.names.has(name) ? { name } : undefined),
  } as unknown as MapPort['cluster'];
}

/** A map that leaves its changes to the test, and knows what the test says. */
export class FakeMap implements MapPort {
  /** Changes that were asked for, and how they are answered. */
  readonly asked: { readonly command: MapCallCommand; readonly answer: MapAnswer }[] = [];
  readonly names: Set<string> = new Set();
  mapEpoch = 1;
  readonly nodes: NodeId[] = [];
  appliedIndex: LogIndex = 1 as LogIndex;
  led: Term | undefined;
  readonly #observers = new Set<() => void>();
  #serving: ((epoch: Term) => void) | undefined;

  readonly cluster: MapPort['cluster'] = fakeCluster(this);
  /** How many wait for changes. */
  get observers(): number {
    return this.#observers.size;
  }
  createSpace(name: string, settings: SpaceSettings, answer: MapAnswer): void {
    this.asked.push({ command: { kind: 'create-space', name, settings }, answer });
  }
  dropSpace(name: string, answer: MapAnswer): void {
    this.asked.push({ command: { kind: 'drop-space', name }, answer });
  }
  place(command: PlacementCommand, answer: MapAnswer): void {
    this.asked.push({ command, answer });
  }
  forgetSpace(): void {}
  onChange(run: () => void): Cancel {
    this.#observers.add(run);
    return () => void this.#observers.delete(run);
  }
  epoch(): Term | undefined {
    return this.led;
  }
  onServing(run: (epoch: Term) => void): Cancel {
    this.#serving = run;
    return () => undefined;
  }
  /** The map is led here from now on. */
  lead(epoch: number): void {
    this.led = epoch as Term;
    this.#serving?.(this.led);
  }
  /** Changes are applied. */
  apply(epoch: number, ...names: readonly string[]): void {
    this.mapEpoch = epoch;
    this.appliedIndex = epoch as LogIndex;
    for (const name of names) this.names.add(name);
    for (const run of this.#observers) run();
  }
  /** Answers the oldest question. */
  answer(outcome: MapOutcome): void {
    const next = this.asked.shift();
    if (next === undefined) throw new Error('nothing was asked');
    next.answer(outcome);
  }
}

/** A host that remembers what it is given. */
export class FakeHost {
  readonly sent: { to: PartitionId; from: CoordinatorId; message: ToLeader }[] = [];
  readonly raft: { group: GroupId; message: Message }[] = [];
  readonly between: PartitionId[] = [];
  readonly attached: Map<CoordinatorId, RouterPort> = new Map();
  readonly map: FakeMap = new FakeMap();
  isReady = true;
  /** Questions for an index, which the test answers. */
  readonly questions: { readonly group: GroupId; readonly answer: IndexAnswer }[] = [];

  readIndex(group: GroupId, answer: IndexAnswer): void {
    this.questions.push({ group, answer });
  }
  send(to: PartitionId, from: CoordinatorId, message: ToLeader): void {
    this.sent.push({ to, from, message });
  }
  ready(): boolean {
    return this.isReady;
  }
  receiveRaft(group: GroupId, message: Message): void {
    this.raft.push({ group, message });
  }
  /** Replicas 1 and 2 of partition 5 that a lost node had, at each loss. */
  readonly lost: number[][] = [];

  nodeLost(livesThere: (group: GroupId, replica: number) => boolean): void {
    this.lost.push([1, 2].filter((replica) => livesThere(5 as GroupId, replica)));
  }
  /** Groups that were to be handed over, and to whom. */
  readonly handedOver: { readonly group: GroupId; readonly to: number }[] = [];

  handOver(group: GroupId, to: number): void {
    this.handedOver.push({ group, to });
  }
  receiveSnapshot(): void {}
  receiveLeader(to: PartitionId): void {
    this.between.push(to);
  }
  attach(router: RouterPort): Cancel {
    this.attached.set(router.id, router);
    return () => void this.attached.delete(router.id);
  }
}

interface Frame {
  readonly to: NodeId;
  readonly lane: Lane;
  readonly bytes: Uint8Array;
}

/** A node of the bench. */
export class BenchNode {
  readonly mesh: Mesh;
  readonly host: FakeHost = new FakeHost();
  readonly frames: Frame[] = [];
  readonly warnings: string[] = [];
  /** Nodes that others have told of, each time. */
  readonly heard: NodeId[][] = [];
  readonly connected: Set<NodeId> = new Set();
  readonly links: MeshLinks = {
    isConnected: (peer) => this.connected.has(peer),
    send: (to, lane, bytes) => {
      this.frames.push({ to, lane, bytes });
      return true;
    },
    flush: () => undefined,
    sendSnapshot: () => Promise.resolve('lost'),
  };

  constructor(self: NodeId, clock: HandClock) {
    this.mesh = new Mesh({
      self,
      clock,
      nodeOf: (_group, replica) => replica as NodeId,
      onNodes: (nodes) => this.heard.push(nodes.map(({ node }) => node)),
      onWarning: (message) => this.warnings.push(message),
    });
    this.mesh.open(this.host as unknown as MeshHost, this.links);
  }
}

/** Two nodes that are linked. */
export class Bench {
  readonly clock: HandClock = new HandClock();
  readonly a: BenchNode = new BenchNode(one, this.clock);
  readonly b: BenchNode = new BenchNode(two, this.clock);

  constructor() {
    this.link();
  }

  link(): void {
    this.a.connected.add(two);
    this.b.connected.add(one);
    this.a.mesh.connected(two);
    this.b.mesh.connected(one);
    this.turns();
  }

  break(): void {
    this.a.connected.delete(two);
    this.b.connected.delete(one);
    this.a.mesh.broken(two);
    this.b.mesh.broken(one);
    this.a.frames.length = 0;
    this.b.frames.length = 0;
  }

  /** Carries frames until there are none. */
  turns(): number {
    let carried = 0;
    for (;;) {
      this.clock.turn();
      const fromA = this.a.frames.splice(0);
      const fromB = this.b.frames.splice(0);
      if (fromA.length + fromB.length === 0) return carried;
      for (const { lane, bytes } of fromA) this.b.mesh.frame(one, lane, bytes);
      for (const { lane, bytes } of fromB) this.a.mesh.frame(two, lane, bytes);
      carried += fromA.length + fromB.length;
    }
  }

  /** Node 2 leads a partition, as its host tells everybody attached. */
  leadsAtB(partition: PartitionId, epoch: number): void {
    for (const port of this.b.host.attached.values()) port.leadership(partition, epoch as Term);
    this.turns();
  }
}
