import {
  type ChangeOutcome,
  type ChangeRefusal,
  type ChangeStep,
  changeSimply,
  enterJoint,
  leaveJoint,
} from '../../src/raft/change.ts';
import { emptyConfiguration } from '../../src/raft/configuration.ts';
import { Tracker } from '../../src/raft/tracker.ts';
import { parseSteps } from './change-notation.ts';
import type { Directive } from './data-driven.ts';
import { configurationText, progressText } from './printers.ts';

const refusals: Readonly<Record<ChangeRefusal, string>> = {
  'already joint': 'config is already joint',
  'not joint': "can't leave a non-joint config",
  'joint needs voters': "can't make a zero-voter config joint",
  'no voters left': 'removed all voters',
  'more than one voter': 'more than one voter changed without entering joint config',
};

/** Carries out the directives of one file of `simple`, `enter-joint` and `leave-joint`. */
export class ChangeCases {
  readonly #tracker = new Tracker(10, Number.POSITIVE_INFINITY);
  #lastIndex = 0;

  constructor() {
    this.#tracker.use(emptyConfiguration, 0);
  }

  run({ command, args, input }: Directive): string {
    const outcome = this.#change(command, args[0]?.values[0] === 'true', parseSteps(input));
    const lastIndex = this.#lastIndex;
    this.#lastIndex += 1;
    if (outcome.kind === 'refused') return refusals[outcome.reason];
    this.#tracker.use(outcome.configuration, lastIndex);
    const members = this.#tracker.members.map((progress) => `\n${progressText(progress)}`);
    return configurationText(outcome.configuration) + members.join('');
  }

  #change(command: string, autoLeave: boolean, steps: readonly ChangeStep[]): ChangeOutcome {
    const { configuration } = this.#tracker;
    switch (command) {
      case 'simple':
        return changeSimply(configuration, steps);
      case 'enter-joint':
        return enterJoint(configuration, steps, autoLeave);
      case 'leave-joint':
        return leaveJoint(configuration);
      default:
        throw new Error(`unknown command ${command}`);
    }
  }
}
