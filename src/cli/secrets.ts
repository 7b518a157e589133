/**
 * `portcullis secrets generate`: fresh values of SECRET_KEY and JWT_SECRET_KEY, as lines for an env file. What
 * their prefix says is in `config/secret-format.ts`.
 */
import fs from 'node:fs';
import path from 'node:path';
import { Option } from 'commander';
import type { Command } from 'commander';

import { KEY_NAMES, generateSecrets, toEnvLines } from '../config/secret-format.ts';
import type { KeyEnvironment, KeyName } from '../config/secret-format.ts';
import { errorCode } from '../config/secret-sources.ts';
import { fail, printJson } from './io.ts';
import type { Io } from './io.ts';

interface GenerateOptions {
  readonly env: KeyEnvironment;
  readonly output?: string;
  readonly json?: true;
}

/** Adds `secrets generate`. */
export function registerSecretsCommands(program: Command, io: Io): void {
  program
    .command('secrets')
    .description('make the secrets that the server needs')
    .command('generate')
    .description('make SECRET_KEY and JWT_SECRET_KEY, each of 256 random bits')
    .addOption(
      new Option('--env <environment>', 'what they are for; production refuses those of development')
        .choices(['development', 'production'])
        .default('production'),
    )
    .option('--output <file>', 'write them to a new file with mode 0600 instead of printing them')
    .option('--json', 'print one JSON document')
    .addHelpText(
      'after',
      '\nExample:\n  portcullis secrets generate --env production --output portcullis.env',
    )
    .action((options: GenerateOptions) => {
      generate(io, options);
    });
}

function generate(io: Io, { env, output, json }: GenerateOptions): void {
  const secrets = generateSecrets(env);
  if (output !== undefined) {
    writeNewFile(io, path.resolve(io.cwd, output), secrets, json === true);
  } else if (json === true) {
    printJson(io, secrets);
  } else {
    io.out(toEnvLines(secrets));
  }
}

function writeNewFile(
  io: Io,
  file: string,
  secrets: Readonly<Record<KeyName, string>>,
  isJson: boolean,
): void {
  try {
    fs.writeFileSync(file, toEnvLines(secrets), { flag: 'wx', mode: 0o600, flush: true });
  } catch (error) {
    fail(io, refusalOf(file, errorCode(error)));
    return;
  }
  if (isJson) printJson(io, { file, variables: KEY_NAMES });
  else io.out(`Wrote ${KEY_NAMES.join(' and ')} to ${file} (mode 0600).\n`);
}

function refusalOf(file: string, code: string): string {
  if (code === 'EEXIST') return `${file} is there already and was left as it is: give --output another name.`;
  if (code === 'ENOENT') return `The folder of ${file} does not exist: make it first.`;
  return `${file} cannot be written (${code}): give --output a place where this user may write.`;
}
