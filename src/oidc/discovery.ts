/**
 * Discovery lists only what works. The engine's document speaks of every flow it knows; as long as nobody can
 * sign in here, what needs a person is left out of it.
 */
import type { EngineMiddleware } from './engine-middleware.ts';

const NEEDS_A_PERSON: readonly string[] = [
  'authorization_endpoint',
  'authorization_response_iss_parameter_supported',
  'claim_types_supported',
  'claims_parameter_supported',
  'claims_supported',
  'code_challenge_methods_supported',
  'id_token_signing_alg_values_supported',
  'request_parameter_supported',
  'request_uri_parameter_supported',
  'response_modes_supported',
  'subject_types_supported',
];

/** Restricts the engine's discovery document, for both of its addresses. */
export const restrictDiscovery: EngineMiddleware = async (ctx, next) => {
  await next();
  if (ctx.status !== 200 || typeof ctx.body !== 'object' || ctx.body === null) return;
  const works = Object.entries(ctx.body).filter(([name]) => !NEEDS_A_PERSON.includes(name));
  ctx.body = {
    ...Object.fromEntries(works),
    scopes_supported: ['read'],
    grant_types_supported: ['client_credentials'],
    response_types_supported: [], // required by RFC 8414, and there is no authorization endpoint yet
  };
};
