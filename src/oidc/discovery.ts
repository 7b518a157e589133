/** Discovery lists only what works here: the engine's document speaks of more. */
import type { EngineMiddleware } from './engine-middleware.ts';
import { RESPONSE_MODES } from './token-policy.ts';

/** Restricts the engine's discovery document, for both of its addresses. */
export const restrictDiscovery: EngineMiddleware = async (ctx, next) => {
  await next();
  if (ctx.status !== 200 || typeof ctx.body !== 'object' || ctx.body === null) return;
  ctx.body = { ...ctx.body, response_modes_supported: [...RESPONSE_MODES] };
};
