/** The documents that never change for the life of an engine (its JWKS, its discovery): rendered once. */
import { hash } from 'node:crypto';

import type { EngineMiddleware } from './engine-middleware.ts';

interface Rendered {
  readonly body: Buffer;
  readonly type: string;
  readonly etag: string;
}

/** Keeps the first answer for each of the engine's few document paths; answers 304 to whoever has it. */
export function createDocumentCache(): EngineMiddleware {
  const rendered = new Map<string, Rendered>();
  return async (ctx, next) => {
    let document = rendered.get(ctx.path);
    if (document === undefined) {
      await next();
      if (ctx.status !== 200) return;
      const body = Buffer.from(JSON.stringify(ctx.body));
      document = {
        body,
        type: ctx.response.get('Content-Type'),
        etag: `"${hash('sha256', body, 'base64url')}"`,
      };
      rendered.set(ctx.path, document);
    }
    ctx.status = 200;
    ctx.set('ETag', document.etag);
    if (ctx.fresh) {
      ctx.status = 304;
      return;
    }
    ctx.set('Content-Type', document.type);
    ctx.body = document.body;
  };
}
