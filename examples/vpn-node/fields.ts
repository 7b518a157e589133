/** The fields of a request's body, JSON or form, of bounded size; none where there is no body. */
import type { Context } from 'koa';

import { Problem } from '../protected-api/problem.ts';

const MAX_BYTES = 32 * 1024;

export type Fields = Readonly<Record<string, unknown>>;

/** Reads them; throws a Problem for a body that has none. */
export async function readFields(ctx: Context): Promise<Fields> {
  const text = await readText(ctx);
  if (text === '') return {};
  if (ctx.is('application/x-www-form-urlencoded') !== false) {
    return Object.fromEntries(new URLSearchParams(text));
  }
  if (ctx.is('application/json') !== false) return toObject(text);
  throw new Problem(415, 'Send JSON or a form.');
}

async function readText({ req }: Context): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of req as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > MAX_BYTES) throw new Problem(413, `A body has at most ${MAX_BYTES} bytes here.`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}

function toObject(text: string): Fields {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
      return value as Fields; // an object of JSON has texts as keys
    }
  } catch {
    // told below, as every other text that is no object
  }
  throw new Problem(400, 'Send a JSON object.');
}
