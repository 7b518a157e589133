/** The command line: every command, and how wrong usage is told (exit code 2). */
import { readFileSync } from 'node:fs';

import { Command, CommanderError } from 'commander';

import { registerApplyCommand } from './apply.ts';
import { registerClientCommands } from './clients.ts';
import { registerConfigCommands } from './config.ts';
import { EXIT } from './io.ts';
import type { Io } from './io.ts';
import { registerSecretsCommands } from './secrets.ts';
import { registerServeCommand } from './serve.ts';
import { registerUsersCommands } from './users.ts';

/** Runs one command line (without node and script). Sets the exit code; never rejects for wrong usage. */
export async function runProgram(argv: readonly string[], processIo: Io): Promise<void> {
  let isJson = false;
  const io: Io = { ...processIo, isJson: () => isJson };
  const program = new Command('portcullis')
    .description('A self-hosted OAuth 2 authorization server.')
    .version(version(), '-V, --version', 'print the version')
    .configureOutput({ writeOut: io.out, writeErr: io.err })
    .showHelpAfterError('(add --help to see what it takes)')
    .exitOverride()
    .hook('preAction', (_program, command) => {
      isJson = command.opts()['json'] === true;
    });
  registerServeCommand(program, io);
  registerApplyCommand(program, io);
  registerClientCommands(program, io);
  registerUsersCommands(program, io);
  registerConfigCommands(program, io);
  registerSecretsCommands(program, io);
  for (const command of allCommands(program)) inheritSettings(command, program);
  try {
    await program.parseAsync(argv, { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    io.setExitCode(error.exitCode === 0 ? EXIT.done : EXIT.usage);
  }
}

/** As package.json says. */
function version(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  const { version: found } = JSON.parse(text) as { version: string }; // npm does not install a package without one
  return found;
}

const allCommands = (command: Command): readonly Command[] =>
  command.commands.flatMap((child) => [child, ...allCommands(child)]);

/** Commander hands these on only to commands made after they were set. */
function inheritSettings(command: Command, program: Command): void {
  command.copyInheritedSettings(program).showHelpAfterError('(add --help to see what it takes)');
}
