/**
 * The JSON API, put together: the routes of the slices, who may call them and how often, and the document that
 * tells of them. A part of the composition root.
 */
import { createAuthenticate } from '../api/caller.ts';
import { createDocumentRoutes } from '../api/document-routes.ts';
import { createOpenApi } from '../api/openapi.ts';
import type { Route } from '../api/route.ts';
import { createApiRouter } from '../api/router.ts';
import { serverRoleOf } from '../accounts/server-role.ts';
import type { Config } from '../config.ts';
import { createCors } from '../http/cors.ts';
import type { CorsOptions } from '../http/cors.ts';
import type { RateLimits } from '../http/rate-limit.ts';
import type { RenderPage } from '../http/views.ts';
import type { Engine } from '../oidc/provider.ts';
import type { ServePages } from './people.ts';
import type { Programs } from './programs.ts';
import type { Storage } from '../storage/port.ts';

export interface JsonApiOptions {
  readonly config: Config;
  readonly storage: Pick<Storage, 'accounts' | 'clients'>;
  readonly engine: () => Engine;
  readonly limits: RateLimits;
  readonly isClientOrigin: CorsOptions['isClientOrigin'];
  readonly renderPage: RenderPage;
  readonly programs: Pick<Programs, 'findApiKey' | 'findServiceAccount' | 'permissionsOf'>;
  readonly routes: readonly Route[];
}

/** Serves `/api/`, `/openapi.json` and `/docs`. */
export function createJsonApi(options: JsonApiOptions): ServePages {
  const { config, storage, engine, limits, isClientOrigin, renderPage, programs, routes } = options;
  const cors = createCors({ allowedOrigins: config.corsAllowedOrigins, isClientOrigin });
  const authenticate = createAuthenticate({
    findPersonToken: (value) => engine().firstParty.findPersonToken(value),
    findApiKey: programs.findApiKey,
    findClientToken: (value) => findClientToken(value, options),
    findServiceAccount: programs.findServiceAccount,
    findAccount: storage.accounts.find,
    roleOf: serverRoleOf,
    permissionsOf: programs.permissionsOf,
  });
  const api = createApiRouter({ routes, authenticate, limits, cors });
  const document = createOpenApi(routes, { issuer: config.issuer, product: config.brand.name });
  const documents = createDocumentRoutes({ document, cors, renderPage });
  const read = documents.routes();
  const refuseMethod = documents.allowedMethods();
  // The router adds what it needs to a plain context.
  return async (ctx, next) => {
    await api(ctx, async () => {
      await read(ctx as Parameters<typeof read>[0], async () => {
        await refuseMethod(ctx as Parameters<typeof refuseMethod>[0], async () => {
          await next();
        });
      });
    });
  };
}

/** What a client was given is read again: a scope that was taken from it opens nothing with a token from before. */
async function findClientToken(
  value: string,
  { storage, engine }: JsonApiOptions,
): ReturnType<Engine['findClientToken']> {
  const found = await engine().findClientToken(value);
  const client = found && (await storage.clients.find(found.clientId));
  if (found === null || client === null) return null;
  return { ...found, scopes: found.scopes.filter((scope) => client.scopes.includes(scope)) };
}
