/**
 * A password for a command: from the environment, a pipe or a person. Never from the command line, which other users
 * of the machine see and shells remember.
 */
import { AppError } from '../errors.ts';
import type { Io } from './io.ts';

const VARIABLE = 'PORTCULLIS_PASSWORD';
// More than the longest password has, so that it is the password's own rule that tells.
const MAX_BYTES = 16_384;

/** Where passwords come from, for `--help`. */
export const PASSWORD_HELP =
  `The password is asked for, or comes from standard input (one line) or ${VARIABLE}; ` +
  'it cannot be an argument, which other users would see.';

/** The password; throws `invalid_request` where there is none. */
export async function readPassword(io: Io): Promise<string> {
  const given = io.env[VARIABLE];
  if (given !== undefined && given !== '') return given;
  return io.input.isTerminal() ? ask(io) : readPipe(io);
}

async function readPipe(io: Io): Promise<string> {
  const text = await io.input.readAll(MAX_BYTES);
  if (text === null) throw refused('Standard input is no password: one line of UTF-8.');
  const password = text.replace(/\r?\n$/, '');
  if (password === '')
    throw refused(
      `No password was given: set ${VARIABLE}, write it to standard input, or run this in a terminal to be asked.`,
    );
  if (/[\r\n]/.test(password)) throw refused('Standard input has more than one line: a password is one.');
  return password;
}

async function ask(io: Io): Promise<string> {
  const password = await io.input.askHidden('Password: ');
  const isGiven = password !== null && password !== '';
  const again = isGiven ? await io.input.askHidden('Once more: ') : null;
  if (!isGiven || again === null) throw refused('No password was given, so nothing was changed.');
  if (password !== again) throw refused('These were two different passwords, so nothing was changed.');
  return password;
}

const refused = (sentence: string): AppError => new AppError('invalid_request', sentence);
