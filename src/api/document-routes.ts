/** The OpenAPI document at `/openapi.json`, and a page to read it at `/docs`, in its language: English. */
import Router from 'koa-router';

import type { Cors } from '../http/cors.ts';
import type { RenderPage } from '../http/views.ts';
import { toDocsPage } from './docs-page.ts';
import type { OpenApiDocument } from './openapi.ts';

// It changes with the program only; whoever develops against it wants the new one soon.
const CACHE = 'public, max-age=300';

export interface DocumentRouteOptions {
  readonly document: OpenApiDocument;
  readonly cors: Cors;
  readonly renderPage: RenderPage;
}

/** The router of both. */
export function createDocumentRoutes({ document, cors, renderPage }: DocumentRouteOptions): Router {
  const text = JSON.stringify(document);
  const page = toDocsPage(document);
  const router = new Router({ sensitive: true });
  router.get('/openapi.json', async (ctx) => {
    await cors.mark(ctx, 'clients');
    ctx.set('Cache-Control', CACHE);
    ctx.type = 'json';
    ctx.body = text;
  });
  router.get('/docs', (ctx) => renderPage(ctx, 'pages/docs', { page }, { locale: 'en' }));
  return router;
}
