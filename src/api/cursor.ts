/**
 * Cursors of lists as callers see them: opaque, authenticated, and good for the list and the caller that they were
 * given to, so that nobody asks the store for a place of their own making.
 */
import { z } from 'zod';

import { AppError } from '../errors.ts';
import { createSeal } from '../http/cookies.ts';
import type { SigningSecrets } from '../http/cookies.ts';
import { actorOf } from './caller.ts';
import type { Asking } from './caller.ts';
import { wholeNumberText } from './input.ts';

const CODE_CHARACTERS = 43; // SHA-256 as base64url
const MAX_CHARACTERS = 1_000;
const MAX_LIMIT = 200;
const DEFAULT_LIMIT = 50;

/** The query of a list. */
export const PageQuery = z.strictObject({
  limit: wholeNumberText(MAX_LIMIT)
    .optional()
    .meta({ description: `How many at most, 1 to ${MAX_LIMIT}; ${DEFAULT_LIMIT} where it is left out.` }),
  after: z
    .string()
    .max(MAX_CHARACTERS)
    .optional()
    .meta({ description: 'The `next` of the page before; left out for the first one.' }),
});

/** A page of a list, as it is answered. */
export const pageOf = <Item extends z.ZodType>(item: Item) =>
  z.object({
    items: z.array(item),
    next: z.string().nullable().meta({ description: 'Give it as `after` to read on; null at the end.' }),
  });

/** One list, as it is shown to one caller: both are part of what a cursor proves. */
export interface List {
  readonly name: string;
  readonly callerId: string;
}

/** A list as it was filtered: a cursor of another filter would skip what nobody saw. */
export const listOf = (name: string, { caller }: Pick<Asking, 'caller'>, filter: object): List => ({
  name: `${name} ${JSON.stringify(Object.entries(filter).sort())}`,
  callerId: actorOf(caller),
});

export interface Cursors {
  /** The page that a query asks for. Throws `invalid_request` for a cursor of another list, or of nobody. */
  read(list: List, query: z.output<typeof PageQuery>): { readonly limit: number; readonly after?: string };
  /** What to give on as `next`; null on the last page. */
  write(list: List, next: string | null): string | null;
}

/** Makes them; the secrets are those of cookies and cursors. */
export function createCursors(secrets: SigningSecrets): Cursors {
  const seal = createSeal(secrets, 'cursor');
  const sealed = ({ name, callerId }: List, place: string): string => JSON.stringify([name, callerId, place]);
  const open = (list: List, cursor: string): string => {
    const place = Buffer.from(cursor.slice(CODE_CHARACTERS), 'base64url').toString();
    if (seal.matches(sealed(list, place), cursor.slice(0, CODE_CHARACTERS))) return place;
    const fault = { path: 'after', message: 'no cursor of this list: take the `next` of the page before' };
    throw new AppError('invalid_request', `${fault.path}: ${fault.message}`, { errors: [fault] });
  };
  return {
    read: (list, { limit = DEFAULT_LIMIT, after }) =>
      after === undefined ? { limit } : { limit, after: open(list, after) },
    write: (list, next) =>
      next === null ? null : seal.of(sealed(list, next)) + Buffer.from(next).toString('base64url'),
  };
}
