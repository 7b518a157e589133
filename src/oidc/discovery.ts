/** Discovery lists only what works here: the engine's document speaks of more. */
import type { EngineMiddleware } from './engine-middleware.ts';
import { CLAIMS_WITHOUT_VALUE } from './people.ts';
import { RESPONSE_MODES } from './token-policy.ts';

/** Restricts the engine's discovery document, for both of its addresses. */
export const restrictDiscovery: EngineMiddleware = async (ctx, next) => {
  await next();
  if (ctx.status !== 200 || typeof ctx.body !== 'object' || ctx.body === null) return;
  const document: Record<string, unknown> = { ...ctx.body };
  const claims = document['claims_supported'];
  ctx.body = {
    ...document,
    response_modes_supported: [...RESPONSE_MODES],
    ...(Array.isArray(claims) && {
      claims_supported: claims.filter((claim) => !CLAIMS_WITHOUT_VALUE.includes(String(claim))),
    }),
  };
};
