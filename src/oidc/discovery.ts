/** Discovery lists only what works here: the engine's document speaks of more. */
import type { EngineMiddleware } from './engine-middleware.ts';
import { GRANT_CLAIM } from './structured-tokens.ts';
import { RESPONSE_MODES } from './token-policy.ts';

/** Restricts the engine's discovery document, for both of its addresses; `statusLists` is where those are listed. */
export const restrictDiscovery =
  (statusLists: string | null): EngineMiddleware =>
  async (ctx, next) => {
    await next();
    if (ctx.status !== 200 || typeof ctx.body !== 'object' || ctx.body === null) return;
    const { claims_supported: claims } = ctx.body as { readonly claims_supported: readonly string[] }; // by the engine
    ctx.body = {
      ...ctx.body,
      response_modes_supported: [...RESPONSE_MODES],
      claims_supported: claims.filter((claim) => claim !== GRANT_CLAIM), // it tells nobody else anything
      // Token Status List (draft-ietf-oauth-status-list) 9.1.
      ...(statusLists !== null && { status_list_aggregation_endpoint: statusLists }),
    };
  };
