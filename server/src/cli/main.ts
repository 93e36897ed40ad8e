#!/usr/bin/env node
/** The `tuplet` command. */
import { Command } from 'commander';
import { version } from '../version.ts';
import { addBackupCommands } from './backup-commands.ts';
import { addClusterCommands } from './cluster-commands.ts';
import { exitCodes } from './exit.ts';
import { addExportCommands } from './export-commands.ts';
import { addNotifyCommand } from './notify-command.ts';
import { addRepair } from './repair-command.ts';
import { addServe } from './serve.ts';
import { addSpaceCommands } from './space-commands.ts';
import { addTupleCommands } from './tuple-commands.ts';

const program = new Command('tuplet')
  .description('A durable tuple space: server and command line.')
  .version(version)
  // What commander ends with is help, or a command line that cannot be meant.
  .exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? exitCodes.ok : exitCodes.usage));
addServe(program);
addTupleCommands(program);
addNotifyCommand(program);
addSpaceCommands(program);
addClusterCommands(program);
addBackupCommands(program);
addExportCommands(program);
addRepair(program);
await program.parseAsync();
