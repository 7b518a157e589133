/** Bodies: bounded and of the kind that the endpoint says, before anything reads them. */
import type { Context } from 'koa';
import type { ZodType } from 'zod';

import { AppError } from '../errors.ts';
import { readInput } from '../input-words.ts';
import { assertPlainKeys } from './json-keys.ts';
import { MAX_BODY_BYTES, readWhole } from './request.ts';

const MAX_DEPTH = 32;
const MAX_VALUES = 1_000;
const MAX_FIELDS = 30;
/** Of a path in an answer: its last part is the sender's to write. */
const MAX_PATH = 200;

const FORM = 'application/x-www-form-urlencoded';

/** Form posts to the protocol: 415 for another kind or an encoding, 413 for too much. */
export function assertFormBody(ctx: Context): void {
  assertPlainAndBounded(ctx);
  const type = ctx.get('Content-Type');
  // Most clients send the bare type, which needs no parser.
  if (type !== '' && type !== FORM && !ctx.is(FORM)) {
    throw new AppError(
      'unsupported_media_type',
      'Send the parameters as application/x-www-form-urlencoded in the body.',
    );
  }
}

/**
 * Reads an optional JSON body against a strict schema; no body is `undefined`. Throws 400 with the path of
 * each fault, 413 and 415.
 */
export async function readJsonBody<T>(ctx: Context, schema: ZodType<T>): Promise<T | undefined> {
  assertPlainAndBounded(ctx);
  const text = await readText(ctx);
  if (text === '') return undefined;
  if (!ctx.is('application/json')) {
    throw new AppError('unsupported_media_type', 'Send the body as application/json, or none.');
  }
  return checked(schema, parseBounded(text));
}

/**
 * Reads a posted form against a strict schema of strings; throws 400 with each fault, 413 and 415. A parameter
 * that comes twice is refused: two readers could each take another one (RFC 6749 3.1).
 */
export async function readForm<T>(ctx: Context, schema: ZodType<T>): Promise<T> {
  assertFormBody(ctx);
  const fields = new Map<string, string>();
  for (const [name, value] of new URLSearchParams(await readText(ctx))) {
    if (fields.has(name))
      throw new AppError('invalid_request', `The form has the field "${name.slice(0, 60)}" twice.`);
    if (fields.size === MAX_FIELDS)
      throw new AppError('invalid_request', `A form has at most ${MAX_FIELDS} fields.`);
    fields.set(name, value);
  }
  return checked(schema, Object.fromEntries(fields));
}

/** What the schema makes of a value; throws 400 with each fault. */
export function checked<T>(schema: ZodType<T>, value: unknown): T {
  const read = readInput(schema, value);
  if (read.ok) return read.value;
  const faults = read.faults.map(({ path, message }) => ({ path: pathOf(path), message }));
  const [first] = faults;
  throw new AppError('invalid_request', `${first?.path ?? 'body'}: ${first?.message ?? 'invalid'}`, {
    errors: faults,
  });
}

const pathOf = (path: readonly PropertyKey[]): string =>
  path.map(String).join('.').slice(0, MAX_PATH) || 'body';

function assertPlainAndBounded(ctx: Context): void {
  const encoding = ctx.get('Content-Encoding');
  if (encoding !== '' && encoding.toLowerCase() !== 'identity') {
    throw new AppError('unsupported_media_type', 'Send the body without a Content-Encoding.');
  }
  if (Number(ctx.get('Content-Length')) > MAX_BODY_BYTES) throw tooLarge();
}

const tooLarge = (): AppError =>
  new AppError('payload_too_large', `A body has at most ${MAX_BODY_BYTES} bytes here.`);

/** The whole of a bounded body, as UTF-8. */
export async function readText(ctx: Context): Promise<string> {
  const body = await readPresent(ctx);
  if (body.length > MAX_BODY_BYTES) throw tooLarge();
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(body);
  } catch {
    throw new AppError('invalid_request', 'The body is not valid UTF-8.');
  }
}

/** A client that goes away in the middle is its own fault. */
async function readPresent(ctx: Context): Promise<Buffer> {
  try {
    return await readWhole(ctx.req);
  } catch (cause) {
    throw new AppError('invalid_request', 'The body ended before it was complete.', { cause });
  }
}

/** JSON of bounded depth and size: what a parser below us would choke on ends here. */
function parseBounded(text: string): unknown {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new AppError('invalid_request', 'The body is not valid JSON.');
  }
  assertPlainKeys(text);
  let level: unknown[] = [value];
  let values = 0;
  for (let depth = 0; level.length > 0; depth += 1) {
    values += level.length;
    if (depth > MAX_DEPTH || values > MAX_VALUES) {
      throw new AppError(
        'invalid_request',
        `The body has more than ${MAX_VALUES} values or ${MAX_DEPTH} levels.`,
      );
    }
    level = level.flatMap((item): unknown[] =>
      typeof item === 'object' && item !== null ? Object.values(item) : [],
    );
  }
  return value;
}
