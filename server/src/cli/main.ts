#!/usr/bin/env node
/** The `tuplet` command. */
import { Command } from 'commander';
import { version } from '../node.ts';
import { addServe } from './serve.ts';

const program = new Command('tuplet')
  .description('A durable tuple space: server and command line.')
  .version(version);
addServe(program);
await program.parseAsync();
