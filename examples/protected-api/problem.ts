/** Refusals as Problems (RFC 9457), and the JSON that comes in. */
import { STATUS_CODES } from 'node:http';
import type { IncomingMessage } from 'node:http';

import type { Context, Next } from 'koa';
import type { ZodType } from 'zod';

const MAX_BODY_BYTES = 16 * 1024;

/** Refuses a request; `message` is for the caller. */
export class Problem extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/** Answers what is thrown further in, and what nobody answers. */
export async function answerProblems(ctx: Context, next: Next): Promise<void> {
  try {
    await next();
    assertAnswered(ctx);
  } catch (error) {
    if (!(error instanceof Problem)) console.error(error);
    const { status, message: detail } =
      error instanceof Problem ? error : new Problem(500, 'Something went wrong in the example.');
    ctx.status = status;
    ctx.body = JSON.stringify({ type: 'about:blank', title: STATUS_CODES[status], status, detail });
    ctx.type = 'application/problem+json';
  }
}

/** Throws a Problem for a request that nobody answered. */
export function assertAnswered(ctx: Context): void {
  if (ctx.body !== undefined) return;
  if (ctx.status === 404) throw new Problem(404, `There is nothing at ${ctx.method} ${ctx.path}.`);
  if (ctx.status === 405) throw new Problem(405, `${ctx.path} takes ${ctx.response.get('Allow')}.`);
}

/** The JSON body against a schema; throws a Problem for any other. */
export async function readJson<T>(request: IncomingMessage, schema: ZodType<T>): Promise<T> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > MAX_BODY_BYTES) throw new Problem(413, `A body has at most ${MAX_BODY_BYTES} bytes here.`);
    chunks.push(chunk);
  }
  const parsed = schema.safeParse(parse(Buffer.concat(chunks).toString()));
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new Problem(400, `${issue?.path.join('.') ?? ''}: ${issue?.message ?? ''}`.replace(/^: /, ''));
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new Problem(400, 'Send a JSON object.');
  }
}
