import { assert } from '../base/assert.ts';
import type { PartitionId, SpaceId, Term } from '../base/ids.ts';
import type { CallId, FromLeader } from '../coordination/messages.ts';
import type { NewTuple, Operation } from '../space/command.ts';
import type { WrittenTuple } from '../space/outcome.ts';
import type { Call, CallPorts } from './call.ts';
import { type Failure, identityReused } from './failure.ts';
import { type Changed, MutationCall, type MutationOwner } from './mutation.ts';

/** A tuple of a write-many and where it goes. */
export interface PlacedTuple {
  readonly partition: PartitionId;
  readonly tuple: NewTuple;
}

/** What goes to one partition. */
interface Part {
  readonly mutation: MutationCall;
  /** Where its tuples stand in the request. */
  readonly positions: readonly number[];
  open: boolean;
}

/** Writes several tuples: whole or not at all within a partition, an outcome for each of them. */
export class WriteManyCall implements Call, MutationOwner {
  readonly #ports: CallPorts;
  readonly #number: CallId;
  readonly #parts: Map<PartitionId, Part> = new Map();
  readonly #outcomes: (WrittenTuple | Failure | undefined)[];
  #open: number;

  constructor(
    ports: CallPorts,
    number: CallId,
    options: {
      readonly operation: Operation | undefined;
      readonly space: SpaceId;
      readonly tuples: readonly PlacedTuple[];
    },
  ) {
    this.#ports = ports;
    this.#number = number;
    this.#outcomes = options.tuples.map(() => undefined);
    const places = new Map<PartitionId, number[]>();
    for (const [position, { partition }] of options.tuples.entries()) {
      const positions = places.get(partition);
      if (positions === undefined) places.set(partition, [position]);
      else positions.push(position);
    }
    for (const [partition, positions] of places) {
      const tuples = options.tuples.filter((placed) => placed.partition === partition);
      const mutation = new MutationCall(ports, number, {
        partition,
        operation: options.operation,
        change: {
          kind: 'write',
          space: options.space,
          tuples: tuples.map((placed) => placed.tuple),
        },
        owner: this,
      });
      this.#parts.set(partition, { mutation, positions, open: true });
    }
    this.#open = this.#parts.size;
  }

  start(): void {
    for (const { mutation } of this.#parts.values()) mutation.start();
  }
  settled({ partition }: MutationCall, changed: Changed): void {
    const part = this.#parts.get(partition);
    if (part === undefined || !part.open) return;
    part.open = false;
    const { positions } = part;
    if (changed.kind === 'result') {
      const { result } = changed;
      // Another kind: the same identity was used for another operation before.
      const written = result.kind === 'written' ? result.tuples : [];
      for (const [at, position] of positions.entries())
        this.#outcomes[position] = written[at] ?? identityReused;
    } else {
      assert(changed.kind === 'failed', 'a plain write either happens or fails');
      for (const position of positions) this.#outcomes[position] = changed.failure;
    }
    this.#open -= 1;
    if (this.#open > 0) return;
    const outcomes = this.#outcomes.filter((outcome) => outcome !== undefined);
    assert(outcomes.length === this.#outcomes.length, 'each tuple has an outcome');
    this.#ports.answer(this.#number, { kind: 'outcomes', outcomes });
  }

  receive(message: FromLeader): void {
    const part = this.#parts.get(message.partition);
    if (part?.open) part.mutation.receive(message);
  }
  newEpoch(partition: PartitionId, epoch: Term): void {
    const part = this.#parts.get(partition);
    if (part?.open) part.mutation.newEpoch(partition, epoch);
  }
  linkBroken(partition: PartitionId): void {
    const part = this.#parts.get(partition);
    if (part?.open) part.mutation.linkBroken(partition);
  }
  endWait(): void {
    // It does not wait.
  }
  cancel(): void {
    // It does not wait: its answer is on the way.
  }
  giveUp(): void {
    for (const part of this.#parts.values()) if (part.open) part.mutation.giveUp();
  }
  abandon(): void {
    // What was sent may happen; nobody asks.
  }
}
