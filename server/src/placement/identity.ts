/** Who a node is that has joined a cluster: `node.json` in its data folder. */
import { type Disk, DiskError } from '../base/doors.ts';
import { FormatError } from '../base/format-error.ts';
import { isNodeKey } from '../cluster/nodes.ts';
import type { JoinAnswer } from '../transport/join-codec.ts';

/** What a node keeps of its joining. */
export interface NodeIdentity {
  /** 32 lower-case hex digits; the node's own, and older than its number. */
  readonly key: string;
  /** What the cluster has answered; undefined: it has not. */
  readonly joined?: JoinAnswer;
  /** Whether the node's log was begun: without it, it can never come back as who it was. */
  readonly isBegun: boolean;
}

const fileName = 'node.json';
const newFileName = 'node.json.new';
const format = 1;

/** Undefined where the folder has none. Rejects with FormatError or DiskError. */
export async function readNodeIdentity(disk: Disk): Promise<NodeIdentity | undefined> {
  if (!(await disk.list('')).includes(fileName)) return undefined;
  const file = await disk.open(fileName);
  const bytes = await file.read(0, await file.size());
  await file.close();
  return parsed(new TextDecoder().decode(bytes));
}

/** Whole or not at all; durable when it resolves. */
export async function writeNodeIdentity(disk: Disk, identity: NodeIdentity): Promise<void> {
  try {
    await disk.remove(newFileName);
  } catch (error) {
    if (!(error instanceof DiskError) || error.kind !== 'missing') throw error;
  }
  const file = await disk.create(newFileName);
  await file.write(0, new TextEncoder().encode(`${JSON.stringify({ format, ...identity })}\n`));
  await file.sync();
  await file.close();
  await disk.rename(newFileName, fileName);
  await disk.syncFolder('');
}

function parsed(text: string): NodeIdentity {
  const found = json(text);
  if (found?.format !== format)
    throw new FormatError({
      what: "node's identity",
      found: Number(found?.format ?? 0),
      read: format,
      file: fileName,
    });
  if (!isNodeKey(found.key)) throw new DiskError('io', `${fileName} has no key of a node`);
  return found;
}

function json(text: string): (NodeIdentity & { readonly format: number }) | undefined {
  try {
    return JSON.parse(text) ?? undefined;
  } catch {
    throw new DiskError('io', `${fileName} cannot be read`);
  }
}
