/**
 * Introspection (RFC 7662) of API keys, for the resource servers that take them. The engine authenticates who asks,
 * and finds no such token; whoever asks under the audience of a declared resource server is then told of the key.
 */
import type { Account, ResourceServerStore } from '../storage/port.ts';
import type { EngineMiddleware } from './engine-middleware.ts';
import { roleAt } from './people.ts';

const PREFIX = 'pcl_';

/** A key that is good now, and whose owner is. */
interface LivingKey {
  readonly keyId: string;
  readonly account: Account;
  readonly scopes: readonly string[];
}

export interface KeyIntrospectionOptions {
  readonly issuer: string;
  readonly findApiKey: (value: string) => Promise<LivingKey | null>;
  readonly resourceServers: Pick<ResourceServerStore, 'findByAudience'>;
}

/** Wraps the engine's introspection endpoint. */
export function createKeyIntrospection(options: KeyIntrospectionOptions): EngineMiddleware {
  const { issuer, findApiKey, resourceServers } = options;
  return async (ctx, next) => {
    await next();
    const token = String(ctx.oidc.params?.['token']);
    if (ctx.path !== '/introspect' || ctx.status !== 200 || !token.startsWith(PREFIX)) return;
    const audience = ctx.oidc.client?.clientId ?? '';
    const resourceServer = await resourceServers.findByAudience(audience);
    if (resourceServer === null) return;
    const found = await findApiKey(token);
    if (found === null) return;
    const { keyId, account, scopes } = found;
    ctx.body = {
      ...{ active: true, token_type: 'api_key', iss: issuer, aud: audience },
      ...{ sub: account.id, username: account.username, scope: scopes.join(' '), key_id: keyId },
      ...roleAt(resourceServer, account),
    };
  };
}
