/** Runs commands in the test's process, and gives what they would have printed. */
import { Command, CommanderError } from 'commander';
import { Readable } from 'node:stream';

import { createInput } from '../../src/cli/input.ts';
import type { Io } from '../../src/cli/io.ts';
import { runProgram } from '../../src/cli/program.ts';
import type { TestServer } from '../support/server.ts';

type Register = (program: Command, io: Io) => void;

export interface Ran {
  readonly out: string;
  readonly err: string;
  readonly code: number;
}

interface Surroundings {
  readonly cwd: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Standard input; nothing where it is left out. */
  readonly stdin?: Readable & { readonly isTTY?: boolean };
  /** Whether a person looks at what is printed. */
  readonly isTerminal?: boolean;
  /** Takes what is written to standard output as bytes. */
  readonly onBytes?: (bytes: Uint8Array) => void;
}

/** What a command printed, and the code that it would have ended with. */
type Printed = { -readonly [Key in keyof Ran]: Ran[Key] };

function printer(surroundings: Surroundings): { readonly io: Io; readonly printed: Printed } {
  const { cwd, env = {}, stdin = Readable.from([]), isTerminal = false, onBytes } = surroundings;
  const printed: Printed = { out: '', err: '', code: 0 };
  const io: Io = {
    env,
    cwd,
    input: createInput(
      () => stdin,
      (text) => void (printed.err += text),
    ),
    out: (text) => void (printed.out += text),
    outBytes: async (bytes) => onBytes?.(bytes),
    err: (text) => void (printed.err += text),
    isTerminal: () => isTerminal,
    setExitCode: (code) => void (printed.code = code),
  };
  return { io, printed };
}

/** Runs a command line, without `portcullis` itself; commander's own refusals have code 2. */
export async function run(
  register: Register,
  argv: readonly string[],
  surroundings: Surroundings,
): Promise<Ran> {
  const { io, printed } = printer(surroundings);
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

/** Runs a whole command line as `main.ts` does. */
export async function portcullis(argv: readonly string[], surroundings: Surroundings): Promise<Ran> {
  const { io, printed } = printer(surroundings);
  await runProgram(argv, io);
  return printed;
}

/** The environment in which commands work on the store of a test server. */
export const environmentOf = ({
  config,
  secrets,
  folder,
}: Pick<TestServer, 'config' | 'secrets' | 'folder'>): Record<string, string> => ({
  NODE_ENV: 'test',
  ISSUER: config.issuer,
  VAR_DIR: folder,
  DATABASE_URL: secrets.databaseUrl,
  SECRET_KEY: secrets.secretKey,
  JWT_SECRET_KEY: secrets.jwtSecretKey,
});

/** The one JSON document of standard output; throws where there is anything else. */
export const documentOf = ({ out }: Ran): Record<string, unknown> =>
  JSON.parse(out) as Record<string, unknown>; // every command prints an object
