/**
 * The engine's requests for a client's keys (`jwks_uri`), by the guarded way out, and what it answers without them.
 * Nobody can tell then whether an assertion is good, so the answer is 503 and never `invalid_client`: on that a
 * client would give up its credentials, where it only has to ask again.
 */
import { errors } from 'oidc-provider';
import type { Configuration, KoaContextWithOIDC } from 'oidc-provider';

import type { Outgoing } from '../outgoing.ts';

/** The engine's hook. Anything but a 200 is a failure at once: the engine would count that answer as keys of a minute. */
export const createEngineFetch =
  (outgoing: Outgoing): NonNullable<Configuration['fetch']> =>
  async (input) => {
    const url = input instanceof Request ? input.url : String(input);
    const answer = await outgoing({ method: 'GET', url, headers: { Accept: 'application/json' } });
    if (!answer.ok) throw new Error(answer.message);
    const { status, headers, body } = answer;
    if (status !== 200) throw new Error(`it answered ${status}`);
    const kept = new Headers();
    for (const name of ['cache-control', 'expires']) {
      const value = headers[name];
      if (typeof value === 'string') kept.set(name, value);
    }
    return new Response(new Uint8Array(body), { headers: kept });
  };

/** Turns a refusal into 503 where it has its reason in keys that could not be fetched; tells whether it has. */
export function answerWithoutKeys(ctx: KoaContextWithOIDC, { cause }: Error): boolean {
  if (!(cause instanceof errors.InvalidClientMetadata)) return false;
  const reason = Error.isError(cause.cause) ? cause.cause.message : 'they are no key set';
  ctx.status = 503;
  ctx.body = {
    error: 'temporarily_unavailable',
    error_description: `the client's keys cannot be read from its jwks_uri: ${reason}`,
  };
  return true;
}
