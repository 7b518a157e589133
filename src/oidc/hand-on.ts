/**
 * The forms by which the engine sends a browser on: an answer by form post, a switch of accounts, a device's code. Its
 * own page for them has a script and, without scripts, a bare button; here the same form gets a page of ours.
 */
import type { KoaContextWithOIDC } from 'oidc-provider';

import { summarize } from './client-summary.ts';
import type { EngineMiddleware } from './engine-middleware.ts';
import type { EnginePages } from './pages.ts';

/** As `response_modes/form_post.js` of the engine writes it; it has no hook for the page alone. */
const FORM = /^<!DOCTYPE html>\s*<html>[^]*?<form method="post" action="([^"]+)">([^]*?)<noscript>/;

/** Around the engine: draws what it would send on by a form of its own. */
export const withHandOn =
  (pages: Pick<EnginePages, 'handOn'>, engine: EngineMiddleware): EngineMiddleware =>
  async (ctx, next) => {
    await engine(ctx, next);
    const [, action, fields = ''] = typeof ctx.body === 'string' ? (FORM.exec(ctx.body) ?? []) : [];
    if (action === undefined) return;
    const { status } = ctx;
    const { client } = ctx.oidc;
    pages.handOn(ctx, {
      // Action and fields as the engine escaped them.
      form: `<form id="op.handOnForm" method="post" action="${action}">${fields}</form>`,
      client: client === undefined ? null : summarize(client),
      targets: targetsOf(ctx, action),
    });
    ctx.status = status;
  };

/** Where the form leads, and where it may go on to from there: Chrome checks each redirect on the way. */
function targetsOf({ oidc }: KoaContextWithOIDC, action: string): readonly string[] {
  const { redirect_uri: redirectUri } = oidc.entities.Interaction?.params ?? {};
  const afterwards = [redirectUri, oidc.session?.state?.['postLogoutRedirectUri']];
  return [action, ...afterwards].filter((target): target is string => typeof target === 'string');
}
