import { type Entry, Message, MessageKind } from '../../src/raft/message.ts';
import {
  appendWorkText,
  appliedText,
  applyWorkText,
  markText,
  messageNames,
  messageText,
  readyText,
} from './printers.ts';
import { Replica, type ReplicaSettings } from './replica.ts';

/** Something on its way to a replica: a message, or the end of a piece of its own work. */
interface Parcel {
  readonly to: number;
  readonly type: string;
  /** A replica's word to itself, which no network can lose. */
  readonly local: boolean;
  readonly text: string;
  /** Returns what is to be printed. */
  deliver(): string;
}

/**
 * The environment of the interaction scripts: some replicas, a bag of messages in order, and output
 * that grows with indents. Its rules are those of the public cases' own environment.
 */
export class Interaction {
  readonly replicas: Replica[] = [];
  #bag: Parcel[] = [];
  #output = '';
  #indent = '';
  /** Says nothing but errors. */
  quiet = false;

  add(count: number, settings: ReplicaSettings): void {
    for (let at = 0; at < count; at += 1) {
      this.replicas.push(new Replica(this.replicas.length + 1, settings));
    }
  }

  replica(id: number): Replica {
    const replica = this.replicas[id - 1];
    if (replica === undefined) throw new Error(`no replica ${id}`);
    return replica;
  }

  /** Prints whole lines. */
  print(text: string): void {
    if (this.quiet || text === '') return;
    const lines = text.endsWith('\n') ? text.slice(0, -1).split('\n') : text.split('\n');
    this.#output += lines.map((line) => `${this.#indent}${line}\n`).join('');
  }

  /** What was printed since the last time. */
  takeOutput(): string {
    const output = this.#output;
    this.#output = '';
    return output;
  }

  /** Prints a heading, and what is printed meanwhile below it. */
  under(heading: string, run: () => void): void {
    this.print(heading);
    const before = this.#indent;
    this.#indent = `${before}  `;
    run();
    this.#indent = before;
  }

  processReady(replica: Replica): void {
    const { id, node } = replica;
    const ready = node.ready();
    this.print(readyText(id, ready));
    if (!replica.asynchronous) {
      replica.write(ready.hardState, ready.entries, ready.snapshot);
      replica.apply(ready.committed);
    }
    for (const message of ready.messages) this.#bag.push(this.#messageParcel(message));
    if (ready.append !== null) replica.appends.push(ready.append);
    if (ready.apply !== null) replica.applies.push(ready.apply);
    if (!replica.asynchronous) node.advance();
  }

  processAppend(replica: Replica): void {
    const { id, node } = replica;
    const work = replica.appends.shift();
    if (work === undefined) {
      this.print('no append work to perform');
      return;
    }
    replica.write(work.hardState, work.entries, work.snapshot);
    const parcels = work.responses.map((message) => this.#messageParcel(message));
    const { mark } = work;
    if (mark !== null) {
      parcels.push({
        to: id,
        type: 'MsgStorageAppendResp',
        local: true,
        text: markText(id, mark, work.snapshot),
        deliver: () => {
          node.markStable(mark);
          return '';
        },
      });
    }
    this.#processed(appendWorkText(id, work, false), parcels);
  }

  processApply(replica: Replica): void {
    const { id, node } = replica;
    const work = replica.applies.shift();
    if (work === undefined) {
      this.print('no apply work to perform');
      return;
    }
    replica.apply(work.entries);
    this.#processed(applyWorkText(id, work, false), [
      {
        to: id,
        type: 'MsgStorageApplyResp',
        local: true,
        text: appliedText(id, work),
        deliver: () => {
          node.applied(work);
          return '';
        },
      },
    ]);
  }

  /** Delivers or drops what is on its way to a replica; how many pieces there were. */
  deliver(id: number, type: string | undefined, drop: boolean): number {
    const parcels = this.#bag.filter((parcel) => isFor(parcel, id, type, drop));
    this.#bag = this.#bag.filter((parcel) => !isFor(parcel, id, type, drop));
    for (const parcel of parcels) {
      this.print(`${drop ? 'dropped: ' : ''}${parcel.text}`);
      if (!drop) this.print(parcel.deliver());
    }
    return parcels.length;
  }

  /** Runs some replicas until nothing moves. */
  stabilize(replicas: readonly Replica[]): void {
    let moved = true;
    while (moved) {
      moved = false;
      for (const replica of replicas) {
        if (!replica.node.hasReady()) continue;
        this.under(`> ${replica.id} handling Ready`, () => this.processReady(replica));
        moved = true;
      }
      for (const { id } of replicas) {
        if (!this.#bag.some((parcel) => isFor(parcel, id, undefined, false))) continue;
        this.under(`> ${id} receiving messages`, () => this.deliver(id, undefined, false));
        moved = true;
      }
      for (const replica of replicas) {
        if (replica.appends.length === 0) continue;
        this.under(`> ${replica.id} processing append thread`, () => {
          while (replica.appends.length > 0) this.processAppend(replica);
        });
        moved = true;
      }
      for (const replica of replicas) {
        if (replica.applies.length === 0) continue;
        this.under(`> ${replica.id} processing apply thread`, () => {
          while (replica.applies.length > 0) this.processApply(replica);
        });
        moved = true;
      }
    }
  }

  /** A snapshot on its way, whoever wanted it. */
  sendSnapshot(from: Replica, to: number): void {
    const message = new Message(MessageKind.snapshot, from.id, to, from.node.term);
    message.snapshot = from.storage.snapshot();
    const parcel = this.#messageParcel(message);
    this.#bag.push(parcel);
    this.print(parcel.text);
  }

  /** The durable log. */
  logOf(replica: Replica): readonly Entry[] {
    const { storage } = replica;
    const first = storage.firstIndex();
    const end = storage.lastIndex() + 1;
    return first === end ? [] : storage.entries(first, end, Number.POSITIVE_INFINITY);
  }

  #processed(work: string, parcels: readonly Parcel[]): void {
    this.print('Processing:');
    this.print(work);
    this.print('Responses:');
    for (const parcel of parcels) {
      this.print(parcel.text);
      this.#bag.push(parcel);
    }
  }

  #messageParcel(message: Message): Parcel {
    const { from, to, kind } = message;
    return {
      to,
      type: messageNames[kind],
      local: from === to,
      text: messageText(message),
      deliver: () =>
        this.replica(to).node.step(message) === 'stepped'
          ? ''
          : 'raft: cannot step as peer not found',
    };
  }
}

function isFor(parcel: Parcel, id: number, type: string | undefined, drop: boolean): boolean {
  return (
    parcel.to === id && !(drop && parcel.local) && (type === undefined || parcel.type === type)
  );
}
