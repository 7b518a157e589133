/** The parts of an address as input: strictly, as a body is. */
import type { Context } from 'koa';
import { z } from 'zod';

import { AppError } from '../errors.ts';
import { checked } from '../http/body.ts';

/** A whole number from 1 to `most`; in addresses a number is written in digits. */
export const wholeNumberText = (most: number) => {
  const expected = `a whole number from 1 to ${most}`;
  return z
    .string()
    .regex(/^[1-9]\d{0,8}$/, expected)
    .transform(Number)
    .refine((number) => number <= most, expected);
};

const NO_PARAMETERS = z.strictObject({});

/** The query against a strict schema; a parameter that comes twice is refused, since two readers could differ. */
export function readQuery<S extends z.ZodObject>(ctx: Context, schema: S | undefined): unknown {
  const given = new Map<string, string>();
  for (const [name, value] of new URLSearchParams(ctx.querystring)) {
    if (given.has(name)) {
      throw new AppError('invalid_request', `The query has "${name.slice(0, 60)}" twice.`);
    }
    given.set(name, value);
  }
  return checked(schema ?? NO_PARAMETERS, Object.fromEntries(given));
}

/** The parts of the path that the route names. */
export const readParams = (ctx: Context, schema: z.ZodObject): unknown =>
  checked(schema, { ...ctx['params'] });
