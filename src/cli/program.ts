/** The command line: every command, and how wrong usage is told (exit code 2). */
import { Command, CommanderError } from 'commander';
import type { AddHelpTextContext } from 'commander';

import { readVersion } from '../version.ts';
import { registerApiKeyCommands } from './api-keys.ts';
import { registerApplyCommand } from './apply.ts';
import { registerAuditCommands } from './audit.ts';
import { registerBackupCommands } from './backup.ts';
import { registerClientCommands } from './clients.ts';
import { registerConfigCommands } from './config.ts';
import { registerCustomerCommands } from './customers.ts';
import { registerCustomerTokenCommand } from './customer-token.ts';
import { addExamples } from './examples.ts';
import { registerGatewayCommands } from './gateway.ts';
import { EXIT, printJson } from './io.ts';
import type { FailureCode, Io } from './io.ts';
import { registerKeyCommands } from './keys.ts';
import { registerRestoreCommand } from './restore.ts';
import { registerSecretsCommands } from './secrets.ts';
import { registerServeCommand } from './serve.ts';
import { registerTestTokenCommand } from './test-token.ts';
import { registerUsersCommands } from './users.ts';
import { registerVpnCheckCommand } from './vpn-check.ts';
import { registerVpnKeyCommands } from './vpn-key.ts';

/** Runs one command line (without node and script). Sets the exit code; never rejects for wrong usage. */
export async function runProgram(argv: readonly string[], processIo: Io): Promise<void> {
  let isJson = false;
  const io: Io = { ...processIo, isJson: () => isJson };
  const program = new Command('portcullis')
    .description('A self-hosted OAuth 2 authorization server.')
    .version(readVersion(), '-V, --version', 'print the version')
    .configureOutput({ writeOut: io.out, writeErr: io.err })
    .showHelpAfterError('(add --help to see what it takes)')
    .exitOverride()
    .addHelpText('beforeAll', refuseUnknown)
    .hook('preAction', (_program, command) => {
      isJson = command.opts()['json'] === true;
    });
  registerServeCommand(program, io);
  registerApplyCommand(program, io);
  registerClientCommands(program, io);
  registerUsersCommands(program, io);
  registerApiKeyCommands(program, io);
  registerCustomerCommands(program, io);
  registerKeyCommands(program, io);
  registerAuditCommands(program, io);
  registerBackupCommands(program, io);
  registerRestoreCommand(program, io);
  registerConfigCommands(program, io);
  registerSecretsCommands(program, io);
  registerCustomerTokenCommand(program, io);
  registerGatewayCommands(program, io);
  registerTestTokenCommand(program, io);
  registerVpnCheckCommand(program, io);
  registerVpnKeyCommands(program, io);
  addExamples(program);
  for (const command of allCommands(program)) inheritSettings(command, program);
  try {
    await program.parseAsync(argv, { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode !== 0 && asksForJson(argv)) printJson(io, { error: toUsageError(error) });
    io.setExitCode(error.exitCode === 0 ? EXIT.done : EXIT.usage);
  }
}

/** Commander shows the help of what stands before an unknown command where --help follows it. */
function refuseUnknown({ error, command }: AddHelpTextContext): string {
  const [name = '-'] = command.args;
  const isMeant = error || command.commands.length === 0 || name === 'help' || name.startsWith('-');
  return isMeant
    ? ''
    : command.error(`error: unknown command '${name}'`, { code: 'commander.unknownCommand' });
}

/** A line that was refused has no options yet, but the words of it: after `--` they are no options. */
const asksForJson = (argv: readonly string[]): boolean =>
  argv.slice(0, argv.includes('--') ? argv.indexOf('--') : argv.length).includes('--json');

/** Commander has written the sentence to standard error; where it wrote the help instead, there was no command. */
const toUsageError = ({ code, message }: CommanderError): { code: FailureCode; message: string } => ({
  code: 'wrong_usage',
  message:
    code === 'commander.help'
      ? 'A command is missing: --help lists what there is.'
      : message.replace(/^error: /, ''),
});

const allCommands = (command: Command): readonly Command[] =>
  command.commands.flatMap((child) => [child, ...allCommands(child)]);

/** Commander hands these on only to commands made after they were set. */
function inheritSettings(command: Command, program: Command): void {
  command.copyInheritedSettings(program).showHelpAfterError('(add --help to see what it takes)');
}
