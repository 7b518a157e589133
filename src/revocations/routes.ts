/** `GET` of a feed: a signed page, or with `Accept: text/event-stream` a stream of them. */
import Router from 'koa-router';
import type { Context } from 'koa';
import { z } from 'zod';

import { AppError } from '../errors.ts';
import { getBearer } from '../http/bearer.ts';
import { hasAlready } from '../http/etag.ts';
import type { FeedRequest, RevocationReading } from './reading.ts';

/** A cursor as this server gave it: a whole number of milliseconds, more or less. */
const Cursor = z
  .string()
  .regex(/^(0|[1-9]\d{0,15})$/)
  .transform(Number);
const Query = z.strictObject({ since: Cursor.default(0) });

export function createRevocationRoutes(path: string, reading: () => RevocationReading): Router {
  const router = new Router({ sensitive: true });

  router.get(path, async (ctx) => {
    const request: FeedRequest = { bearer: getBearer(ctx), since: sinceOf(ctx) };
    ctx.vary('Accept');
    // A copy is of no use to anybody else, and to the node itself only after it asked again.
    ctx.set('Cache-Control', 'private, no-cache');
    const isStream =
      ctx.method === 'GET' && ctx.accepts('application/jwt', 'text/event-stream') === 'text/event-stream';
    if (isStream) await answerStream(ctx, request, reading());
    else await answerPage(ctx, request, reading());
  });

  return router;
}

async function answerStream(ctx: Context, request: FeedRequest, reading: RevocationReading): Promise<void> {
  const stream = await reading.stream(request);
  if (ctx.headerSent) {
    stream.destroy(); // the deadline answered in its place
    return;
  }
  ctx.type = 'text/event-stream';
  ctx.set('X-Accel-Buffering', 'no'); // nginx would hold back what comes in small pieces
  ctx.body = stream;
}

/** The same page to whoever has it already is 304; entries that expired since make it no other one. */
async function answerPage(ctx: Context, request: FeedRequest, reading: RevocationReading): Promise<void> {
  const { page, sign } = await reading.page(request);
  const etag = `"${page.from}-${page.to}${page.more ? '-more' : ''}"`;
  ctx.set('ETag', `W/${etag}`);
  if (hasAlready(ctx, etag)) {
    ctx.status = 304;
    return;
  }
  ctx.body = await sign();
  ctx.type = 'application/jwt';
}

/** Where a stream broke off (Server-Sent Events 9.2.4), or what was asked for. */
function sinceOf(ctx: Context): number {
  const last = ctx.get('Last-Event-ID');
  const cursor = last === '' ? undefined : Cursor.safeParse(last);
  if (cursor?.success === true) return cursor.data;
  const query = Query.safeParse(ctx.query);
  if (cursor === undefined && query.success) return query.data.since;
  throw new AppError(
    'invalid_request',
    'since (or Last-Event-ID): the `to` of a page that this server gave, or 0; there are no other parameters.',
  );
}
