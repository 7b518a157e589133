/** Runs commands in the test's process, and gives what they would have printed. */
import { Command, CommanderError } from 'commander';

import type { Io } from '../../src/cli/io.ts';

type Register = (program: Command, io: Io) => void;

export interface Ran {
  readonly out: string;
  readonly err: string;
  readonly code: number;
}

/** Runs a command line, without `portcullis` itself; commander's own refusals have code 2. */
export async function run(
  register: Register,
  argv: readonly string[],
  { cwd, env = {} }: { readonly cwd: string; readonly env?: Readonly<Record<string, string>> },
): Promise<Ran> {
  const printed = { out: '', err: '', code: 0 };
  const io: Io = {
    env,
    cwd,
    out: (text) => void (printed.out += text),
    err: (text) => void (printed.err += text),
    setExitCode: (code) => void (printed.code = code),
  };
  const program = new Command('portcullis')
    .exitOverride()
    .configureOutput({ writeOut: io.out, writeErr: io.err });
  register(program, io);
  try {
    await program.parseAsync([...argv], { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    printed.code = error.exitCode === 0 ? 0 : 2;
  }
  return printed;
}
