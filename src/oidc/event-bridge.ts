/** What the engine emits, in the words of the business events; and the status that some of its refusals lack. */
import type { errors, KoaContextWithOIDC, Provider } from 'oidc-provider';

import { answerWithoutKeys } from './engine-fetch.ts';
import { lostCauseOf } from './store-errors.ts';

/** The events of the protocol; `requestId` ties them to the request's other log lines. */
export interface EngineEvents {
  tokenIssued(event: { requestId: string; clientId: string; grantType: string; scope: string }): void;
  protocolRefused(event: RefusedEvent): void;
  storeLost(event: { cause: string }): void;
  serverFailed(event: { requestId: string; error: unknown }): void;
}

export interface RefusedEvent {
  readonly requestId: string;
  readonly ip: string;
  readonly endpoint: string;
  readonly clientId: string | undefined;
  readonly error: string;
  readonly detail: string | undefined;
}

/** Listens for as long as the provider lives. */
export function createEventBridge(provider: Provider, events: EngineEvents, showDetail: boolean): void {
  provider.on('grant.success', (ctx) => {
    const { client, params } = ctx.oidc;
    const { scope = params?.['scope'] } = ctx.body as { readonly scope?: unknown }; // what was given, or asked for
    events.tokenIssued({
      requestId: requestIdOf(ctx),
      clientId: client?.clientId ?? '',
      grantType: asText(params?.['grant_type']),
      scope: asText(scope),
    });
  });

  const refused = (ctx: KoaContextWithOIDC, error: errors.OIDCProviderError): void => {
    if (isBodyTooLarge(error)) ctx.status = 413;
    if (!answerWithoutKeys(ctx, error) && !answerWithoutClient(ctx, error) && showDetail)
      ctx.body = {
        error: error.error,
        error_description: error.error_description,
        error_detail: error.error_detail,
      };
    record(ctx, error);
  };
  const record = (ctx: KoaContextWithOIDC, error: errors.OIDCProviderError): void => {
    const cause = lostCauseOf(error);
    if (cause !== null) events.storeLost({ cause });
    events.protocolRefused({
      requestId: requestIdOf(ctx),
      ip: ctx.ip,
      endpoint: ctx.path,
      clientId: ctx.oidc.client?.clientId,
      error: error.error,
      detail: error.error_detail ?? error.error_description,
    });
  };
  provider.on('grant.error', refused);
  provider.on('introspection.error', refused);
  provider.on('revocation.error', refused);
  provider.on('device_authorization.error', refused);
  provider.on('userinfo.error', record);
  // These answer with a page or a redirect.
  provider.on('authorization.error', record);
  provider.on('code_verification.error', record);
  provider.on('device_resume.error', record);
  provider.on('end_session.error', record);
  provider.on('end_session_confirm.error', record);
  provider.on('end_session_success.error', record);
  provider.on('server_error', (ctx, error) => events.serverFailed({ requestId: requestIdOf(ctx), error }));
}

/** The engine calls a request that names no client a malformed one: RFC 6749 5.2 has `invalid_client` for it. */
function answerWithoutClient(
  ctx: KoaContextWithOIDC,
  { error_description: found }: errors.OIDCProviderError,
): boolean {
  if (found !== 'no client authentication mechanism provided') return false;
  ctx.status = 401;
  ctx.append('WWW-Authenticate', `Basic realm="${ctx.oidc.issuer}"`);
  ctx.body = {
    error: 'invalid_client',
    error_description:
      'no client is named: send its id and secret by HTTP Basic, or the client_id of a public client',
  };
  return true;
}

/** The engine reads at most 56 KiB of a body that came in chunks, and calls a larger one unparseable. */
const isBodyTooLarge = ({ cause }: Error): boolean =>
  Error.isError(cause) && cause.message === 'request entity too large';

const asText = (parameter: unknown): string => (typeof parameter === 'string' ? parameter : '');

const requestIdOf = (ctx: KoaContextWithOIDC): string => String(ctx.state['requestId']);
