/**
 * Users from another system, a JSON object a line. A line that is refused is told, and the others go on; one that the
 * store cannot take just now ends the import, since the next ones would fare no better.
 */
import { AppError, isAppError } from '../errors.ts';
import type { InputFault } from '../errors.ts';
import { foldName } from '../names.ts';
import type { Account } from '../storage/port.ts';
import { parseUser } from './schema.ts';
import type { UserInput } from './schema.ts';

/** So many are saved at once: the store writes down together what comes together. */
const MAX_AT_ONCE = 32;

export interface ImportLine {
  /** From 1. */
  readonly number: number;
  /** Null for one that is too long to be read. */
  readonly text: string | null;
}

export interface RefusedLine {
  readonly line: number;
  readonly errors: readonly InputFault[];
}

export interface ImportCounts {
  readonly read: number;
  readonly created: number;
  readonly refused: number;
}

interface ImportOptions {
  /** Makes one user; throws AppError where it is refused. */
  readonly create: (input: UserInput) => Promise<Account>;
  readonly onRefused: (refused: RefusedLine) => void;
  /** After each handful of lines. */
  readonly onProgress: (counts: ImportCounts) => void;
}

/** Makes a user of each line; blank ones are skipped. Of two lines with one name the first counts. */
export async function importUsers(
  lines: AsyncIterable<ImportLine>,
  { create, onRefused, onProgress }: ImportOptions,
): Promise<ImportCounts> {
  const counts = { read: 0, created: 0, refused: 0 };
  const refuse = (line: number, errors: readonly InputFault[]): void => {
    counts.refused += 1;
    onRefused({ line, errors });
  };
  /** All of a batch have ended before anything is told, so that lines are told in their order. */
  const save = async (batch: readonly UserLine[]): Promise<void> => {
    const results = await Promise.allSettled(batch.map(({ input }) => create(input)));
    counts.created += results.filter(({ status }) => status === 'fulfilled').length;
    onProgress({ ...counts });
    for (const [index, { number }] of batch.entries()) {
      const result = results[index];
      if (result?.status === 'rejected') refuse(number, faultsOf(result.reason));
    }
  };

  let batch: UserLine[] = [];
  for await (const { number, text } of lines) {
    if (text?.trim() === '') continue;
    counts.read += 1;
    const line = read(number, text);
    if (!line.ok || batch.length === MAX_AT_ONCE || batch.some((other) => isSame(other, line))) {
      await save(batch);
      batch = [];
    }
    if (line.ok) batch.push(line);
    else refuse(number, line.errors);
  }
  await save(batch);
  return counts;
}

interface UserLine {
  readonly ok: true;
  readonly number: number;
  readonly input: UserInput;
  readonly names: readonly string[];
}

const isSame = (line: UserLine, other: UserLine): boolean =>
  line.names.some((name) => other.names.includes(name));

function read(number: number, text: string | null): UserLine | { ok: false; errors: readonly InputFault[] } {
  try {
    if (text === null) throw notJson('this line is too long');
    const input = parseUser(parseJson(text));
    return { ok: true, number, input, names: [input.username, input.email ?? ''].map(foldName) };
  } catch (error) {
    return { ok: false, errors: faultsOf(error) };
  }
}

/** The parser's own messages quote the line, and passwords stand in it. */
function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw notJson('this line is no JSON: write one object, such as {"username": "ada", "email": "…"}');
  }
}

const notJson = (message: string): AppError =>
  new AppError('invalid_request', message, { errors: [{ path: '', message }] });

/** What is wrong with the line; throws where it is not the line's fault. */
function faultsOf(error: unknown): readonly InputFault[] {
  if (!isAppError(error) || error.status >= 500) throw error;
  return error.errors ?? [{ path: '', message: error.message }];
}
