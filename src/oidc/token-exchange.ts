/**
 * RFC 8693 at the token endpoint, for VPN nodes: the token of a person who signed in there, for the VPN JWT on that
 * person's behalf. The engine authenticates the node and knows that it may; the exchange is the VPN slice's. What of
 * the request cannot be honoured is refused: a parameter that is passed over would mean something to whoever sent it.
 */
import { errors } from 'oidc-provider';
import type { KoaContextWithOIDC, Provider, TokenEndpointGrantContext } from 'oidc-provider';

import { ERROR_TABLE, isAppError } from '../errors.ts';
import type { AppError } from '../errors.ts';
import type { ResourceServer } from '../storage/port.ts';
import { translated } from './store-errors.ts';

export const TOKEN_EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';

const ACCESS_TOKEN = 'urn:ietf:params:oauth:token-type:access_token';
const PARAMETERS = [
  ...['subject_token', 'subject_token_type', 'actor_token', 'actor_token_type'],
  ...['requested_token_type', 'resource', 'audience', 'scope'],
];
/** RFC 8693 2.1: these may come more than once. */
const REPEATABLE = ['resource', 'audience'];

/** A request that asks for nothing but what there is. */
export interface TokenExchangeRequest {
  readonly requestId: string;
  readonly ip: string;
  /** Authenticated. */
  readonly clientId: string;
  readonly subject: { readonly token: string; readonly type: string };
  readonly grantType: string;
}

/** Throws AppErrors. */
export type ExchangeToken = (request: TokenExchangeRequest) => Promise<object>;

/** Adds the grant; `resourceServer` is the one that the tokens are for. */
export function registerTokenExchange(
  provider: Provider,
  resourceServer: Pick<ResourceServer, 'identifier' | 'audience' | 'scopes'>,
  exchange: ExchangeToken,
): void {
  const handle = async (ctx: TokenEndpointGrantContext): Promise<void> => {
    const { client, params } = ctx.oidc;
    assertHonoured(params, resourceServer);
    ctx.body = await answered(
      ctx,
      exchange({
        requestId: String(ctx.state['requestId']),
        ip: ctx.ip,
        clientId: client.clientId,
        subject: subjectOf(params),
        grantType: TOKEN_EXCHANGE,
      }),
    );
  };
  provider.registerGrantType(TOKEN_EXCHANGE, handle, PARAMETERS, REPEATABLE);
}

/** What was sent; the engine keeps a parameter that came twice as a list, and leaves out an empty one. */
type Sent = Readonly<Record<string, unknown>>;

const all = (value: unknown): readonly unknown[] =>
  value === undefined ? [] : Array.isArray(value) ? value : [value];

function assertHonoured(
  sent: Sent,
  { identifier, audience, scopes }: Pick<ResourceServer, 'identifier' | 'audience' | 'scopes'>,
): void {
  if (sent['actor_token'] !== undefined || sent['actor_token_type'] !== undefined) {
    throw new errors.InvalidRequest('actor_token is not taken: the node that asks is who acts');
  }
  if (sent['requested_token_type'] !== undefined && sent['requested_token_type'] !== ACCESS_TOKEN) {
    throw new errors.InvalidRequest(`requested_token_type: ${ACCESS_TOKEN} is all that is issued here`);
  }
  if (all(sent['resource']).some((it) => it !== identifier)) {
    throw new errors.InvalidTarget(`resource: the token is for ${identifier}`);
  }
  if (all(sent['audience']).some((it) => it !== audience)) {
    throw new errors.InvalidTarget(`audience: the token is for ${audience}`);
  }
  const asked = typeof sent['scope'] === 'string' ? sent['scope'].split(' ') : [];
  const refused = asked.filter((scope) => !scopes.includes(scope));
  if (refused.length > 0) throw new errors.InvalidScope('requested scope is not allowed', refused.join(' '));
}

function subjectOf({
  subject_token: token,
  subject_token_type: type,
}: Sent): TokenExchangeRequest['subject'] {
  if (typeof token === 'string' && typeof type === 'string') return { token, type };
  throw new errors.InvalidRequest('subject_token and subject_token_type are required (RFC 8693 2.1)');
}

/** The engine answers errors of its own kind; the store's are translated with all others. */
async function answered<T>(ctx: KoaContextWithOIDC, answer: Promise<T>): Promise<T> {
  try {
    return await translated(answer);
  } catch (error) {
    if (!isAppError(error) || error.status >= 500) throw error;
    if (error.code === 'too_many_requests') throw tooMany(ctx, error);
    throw new errors.CustomOIDCProviderError(ERROR_TABLE[error.code].oauth, error.message);
  }
}

function tooMany(ctx: KoaContextWithOIDC, { message, retryAfterSeconds, code }: AppError): Error {
  ctx.set('Retry-After', String(retryAfterSeconds));
  const { status, oauth } = ERROR_TABLE[code];
  return Object.assign(new errors.OIDCProviderError(status, oauth), { error_description: message });
}
