/** Pages: eta templates from `views/`, escaped by default, each with a Content-Security-Policy of its own. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { Eta } from 'eta';
import type { Context } from 'koa';

const FOLDER = join(import.meta.dirname, '../../views');

export type RenderPage = (ctx: Context, view: string, data: Readonly<Record<string, unknown>>) => void;

/** Reads the templates once. The style sheet stands in the page: no second request, no other origin. */
export function createViews(): RenderPage {
  const style = readFileSync(join(FOLDER, 'style.css'), 'utf8');
  const styleHash = createHash('sha256').update(style).digest('base64');
  const policy =
    `default-src 'none'; style-src 'sha256-${styleHash}'; img-src 'self' data:; base-uri 'none'; ` +
    "object-src 'none'; form-action 'self'; frame-ancestors 'none'";
  const eta = new Eta({ views: FOLDER, cache: true, autoTrim: false });

  return (ctx, view, data) => {
    ctx.type = 'html';
    ctx.set('Content-Security-Policy', policy);
    ctx.set('Cache-Control', 'no-store');
    ctx.body = eta.render(view, { ...data, style });
  };
}
