import { Transition } from '../../src/raft/change.ts';
import { configurationOf } from '../../src/raft/configuration.ts';
import type { ProposeOutcome } from '../../src/raft/membership.ts';
import { noBytes } from '../../src/raft/message.ts';
import type { RaftOptions } from '../../src/raft/options.ts';
import { oldChangeContext, parseSteps } from './change-notation.ts';
import { type Argument, type Directive, parseCommand } from './data-driven.ts';
import { Interaction } from './interaction.ts';
import { entriesText, stateText, statusText } from './printers.ts';
import { electionMs, type Replica } from './replica.ts';

/** A command with its arguments, bound to the environment of its script. */
type Command = (env: Interaction, args: readonly Argument[]) => void;

const transitions: Readonly<Record<string, Transition>> = {
  auto: Transition.auto,
  implicit: Transition.implicit,
  explicit: Transition.explicit,
};

/** Carries out the directives of one script. */
export class InteractionCases {
  readonly #env = new Interaction();

  run({ command, args, input }: Directive): string {
    if (command === 'propose-conf-change') {
      proposeChange(this.#env, args, input);
    } else {
      runCommand(this.#env, command, args);
      for (const line of input) {
        const next = parseCommand(line);
        runCommand(this.#env, next.command, next.args);
      }
    }
    for (const { node } of this.#env.replicas) node.verify();
    const output = this.#env.takeOutput();
    return output === '' ? 'ok' : output;
  }
}

function runCommand(env: Interaction, command: string, args: readonly Argument[]): void {
  const run = commands.get(command);
  if (run === undefined) throw new Error(`unknown command ${command}`);
  run(env, args);
}

const commands: ReadonlyMap<string, Command> = new Map<string, Command>([
  ['add-nodes', addNodes],
  ['campaign', (env, args) => void first(env, args).node.campaign()],
  ['propose', propose],
  ['compact', compact],
  ['deliver-msgs', deliver],
  ['process-ready', (env, args) => each(env, args, 'handling Ready', (at) => env.processReady(at))],
  [
    'process-append-thread',
    (env, args) => each(env, args, 'processing append thread', (at) => env.processAppend(at)),
  ],
  [
    'process-apply-thread',
    (env, args) => each(env, args, 'processing apply thread', (at) => env.processApply(at)),
  ],
  ['stabilize', stabilize],
  ['log-level', (env, args) => setLevel(env, args[0]?.key ?? '')],
  ['raft-log', (env, args) => printLog(env, first(env, args))],
  [
    'raft-state',
    (env) => env.print(env.replicas.map(({ node }) => stateText(node.status())).join('')),
  ],
  ['status', (env, args) => env.print(statusText(first(env, args).node.status()))],
  ['tick-election', (env, args) => tick(first(env, args), first(env, args).electionTicks)],
  ['tick-heartbeat', (env, args) => tick(first(env, args), first(env, args).heartbeatTicks)],
  ['set-randomized-election-timeout', checkElectionTimeout],
  ['forget-leader', (env, args) => first(env, args).node.forgetLeader()],
  [
    'transfer-leadership',
    (env, args) => {
      const target = Number(argument(args, 'to'));
      env.replica(Number(argument(args, 'from'))).node.transferLeader(target);
    },
  ],
  [
    'report-unreachable',
    (env, args) => first(env, args).node.reportUnreachable(Number(args[1]?.key)),
  ],
  ['send-snapshot', (env, args) => env.sendSnapshot(first(env, args), Number(args[1]?.key))],
]);

function addNodes(env: Interaction, args: readonly Argument[]): void {
  const ids = (key: string): number[] =>
    (args.find((arg) => arg.key === key)?.values ?? []).map(Number);
  const yes = (key: string): boolean => argument(args, key) === 'true';
  const options: { -readonly [Key in keyof RaftOptions]?: RaftOptions[Key] } = {
    asynchronous: yes('async-storage-writes'),
    preVote: yes('prevote'),
    checkQuorum: yes('checkquorum'),
    onRemoval: yes('step-down-on-removal') ? 'step-down' : 'stay',
    validateChanges: !yes('disable-conf-change-validation'),
  };
  const inflight = argument(args, 'inflight');
  if (inflight !== undefined) options.inflightMessagesMax = Number(inflight);
  const applying = argument(args, 'max-committed-size-per-ready');
  if (applying !== undefined) options.applyingBytesMax = Number(applying);
  if (argument(args, 'read-only') === 'lease-based') {
    options.lease = { electionMs, marginShare: 0.1, nowMs: 0 };
  }
  env.add(Number(args[0]?.key), {
    configuration: configurationOf(ids('voters'), ids('learners')),
    index: Number(argument(args, 'index') ?? 0),
    content: argument(args, 'content') ?? '',
    options,
  });
}

function propose(env: Interaction, args: readonly Argument[]): void {
  const payload = new TextEncoder().encode(args[1]?.key ?? '');
  printRefusal(env, first(env, args).node.propose([payload]));
}

function proposeChange(
  env: Interaction,
  args: readonly Argument[],
  input: readonly string[],
): void {
  const transition = transitions[argument(args, 'transition') ?? 'auto'];
  if (transition === undefined) throw new Error('unknown transition');
  const context = argument(args, 'v1') === 'true' ? oldChangeContext : noBytes;
  const change = { transition, steps: parseSteps(input), context };
  printRefusal(env, first(env, args).node.proposeChange(change));
}

/** A change that cannot be made becomes an empty entry; the reference does not call that refused. */
function printRefusal(env: Interaction, { kind }: ProposeOutcome): void {
  if (kind === 'appended' || kind === 'forwarded' || kind === 'replaced') return;
  env.print('raft proposal dropped');
}

function compact(env: Interaction, args: readonly Argument[]): void {
  const replica = first(env, args);
  replica.compact(Number(args[1]?.key));
  printLog(env, replica);
}

function deliver(env: Interaction, args: readonly Argument[]): void {
  const type = argument(args, 'type');
  let count = 0;
  for (const { key, values } of args) {
    if (values.length === 0) count += env.deliver(Number(key), type, false);
    if (key === 'drop') for (const id of values) count += env.deliver(Number(id), type, true);
  }
  if (count === 0) env.print('no messages');
}

function stabilize(env: Interaction, args: readonly Argument[]): void {
  const before = env.quiet;
  const level = argument(args, 'log-level');
  if (level !== undefined) setLevel(env, level);
  const chosen = replicasOf(env, args);
  env.stabilize(chosen.length === 0 ? env.replicas : chosen);
  env.quiet = before;
}

function printLog(env: Interaction, replica: Replica): void {
  const entries = env.logOf(replica);
  const { storage } = replica;
  env.print(
    entries.length === 0
      ? `log is empty: first index=${storage.firstIndex()}, last index=${storage.lastIndex()}`
      : entriesText(entries),
  );
}

function tick({ node }: Replica, count: number): void {
  for (let at = 0; at < count; at += 1) node.tick();
}

/** Timeouts are drawn shortest here, which must be what the script asks for. */
function checkElectionTimeout(env: Interaction, args: readonly Argument[]): void {
  const { electionTimeoutTicks } = first(env, args).node.status();
  if (electionTimeoutTicks !== Number(argument(args, 'timeout'))) {
    throw new Error(`the election timeout is ${electionTimeoutTicks} ticks`);
  }
}

/** Only silence is told from the rest: lines of a log are not compared. */
function setLevel(env: Interaction, level: string): void {
  env.quiet = level.toLowerCase() === 'none';
}

/** Runs something for each of the replicas, under a heading where there are several. */
function each(
  env: Interaction,
  args: readonly Argument[],
  doing: string,
  run: (replica: Replica) => void,
): void {
  const replicas = replicasOf(env, args);
  for (const replica of replicas) {
    if (replicas.length > 1) env.under(`> ${replica.id} ${doing}`, () => run(replica));
    else run(replica);
  }
}

function replicasOf(env: Interaction, args: readonly Argument[]): Replica[] {
  return args
    .filter(({ values }) => values.length === 0)
    .map(({ key }) => env.replica(Number(key)));
}

function first(env: Interaction, args: readonly Argument[]): Replica {
  return env.replica(Number(args[0]?.key));
}

function argument(args: readonly Argument[], key: string): string | undefined {
  return args.find((arg) => arg.key === key)?.values[0];
}
