/** What the nouns of the command line share: how a verb is added, a page of a list, and what is told of a change. */
import type { Command } from 'commander';

import { AppError, isAppError } from '../errors.ts';
import type { Page } from '../storage/port.ts';
import { addStoreCommand } from './administer.ts';
import { printJson } from './io.ts';
import type { Io } from './io.ts';
import { formatTable } from './table.ts';
import { wholeNumber } from './whole-number.ts';

const PAGE = 100;
const MAX_PAGE = 200;

export type Options = Readonly<Record<string, unknown>>;

/** Adds a verb to a noun; it works on the store. */
export type AddVerb = (name: string, description: string, example: string) => Command;

export const addVerbTo =
  (noun: Command): AddVerb =>
  (name, description, example) =>
    addStoreCommand(noun, name, description).addHelpText('after', `\nExample:\n  ${example}`);

/** What `addPaging` and `--json` make of what was typed. */
export interface PageOptions {
  readonly limit: number;
  readonly after?: string;
  readonly json?: true;
}

/** `after` is what `--after` takes, which `parse` checks; `limit` is the length of a page where nothing else is said. */
export const addPaging = (
  command: Command,
  after: string,
  { limit = PAGE, parse = (text: string): string => text } = {},
): Command =>
  command
    .option('--limit <number>', 'how many to list', wholeNumber(1, MAX_PAGE), limit)
    .option(`--after <${after}>`, 'list those that follow this one', parse);

interface Table<Item> {
  /** What is said where there is nothing to list. */
  readonly none: string;
  readonly head: readonly string[];
  readonly rowOf: (item: Item) => readonly string[];
}

/** Prints a page as one JSON document, or as a table and, on standard error, how to read on. */
export function printPage<Item>(
  io: Io,
  page: Page<Item>,
  { json }: Pick<PageOptions, 'json'>,
  { none, head, rowOf }: Table<Item>,
): void {
  if (json === true) {
    printJson(io, page);
    return;
  }
  io.out(page.items.length === 0 ? `${none}\n` : formatTable(head, page.items.map(rowOf)));
  if (page.next !== null) io.err(`More follow: add --after ${page.next}\n`);
}

/** Ends with wrong usage where no option said anything. */
export function assertChanges(fields: object, command: Command): void {
  if (Object.keys(fields).length === 0)
    command.error('error: nothing to change: name what changes by an option');
}

export function tellDeleted(io: Io, { json }: { readonly json?: unknown }, what: string, id: string): void {
  if (json === true) printJson(io, { deleted: id });
  else io.out(`Deleted the ${what} ${id}.\n`);
}

/** Tells faults by what people typed instead of the fields' names; `nameOf` gets the path of a field. */
export async function byOption<T>(
  saving: Promise<T>,
  nameOf: (field: string, rest: readonly string[]) => string,
): Promise<T> {
  try {
    return await saving;
  } catch (error) {
    if (!isAppError(error) || error.errors === undefined) throw error;
    const sentences = error.errors.map(({ path, message }) => {
      const [field = '', ...rest] = path.split('.');
      return `${nameOf(field, rest)}: ${message}`;
    });
    throw new AppError(error.code, [...new Set(sentences)].join('\n'), { cause: error });
  }
}
