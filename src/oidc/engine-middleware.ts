/** A middleware around the protocol engine: Koa's, on a context that has (or gets) the engine's `ctx.oidc`. */
import type { Next } from 'koa';
import type { KoaContextWithOIDC } from 'oidc-provider';

export type { KoaContextWithOIDC } from 'oidc-provider';

export type EngineMiddleware = (ctx: KoaContextWithOIDC, next: Next) => Promise<void>;
