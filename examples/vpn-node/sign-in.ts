/**
 * Signing people in at Portcullis: code + PKCE by openid-client, which checks state, nonce, `iss` and the ID token. That
 * token is for this node and proves the person to the exchange; everything the node believes of them comes from there.
 */
import * as openid from 'openid-client';
import { z } from 'zod';

import { createNodeAuthentication } from '../../src/sdk/node/node.ts';
import type { NodeSettings } from '../../src/sdk/node/node.ts';
import { Problem } from '../protected-api/problem.ts';

const TIMEOUT_SECONDS = 5;

/** What must be remembered until the browser comes back. */
export const PendingSignIn = z.object({ state: z.string(), nonce: z.string(), codeVerifier: z.string() });

export type PendingSignIn = Readonly<z.infer<typeof PendingSignIn>>;

export interface SignIn {
  begin(): Promise<{ readonly url: URL; readonly pending: PendingSignIn }>;
  /** The ID token. Throws a Problem where Portcullis says no, or the answer is not the one to that question. */
  finish(currentUrl: URL, pending: PendingSignIn): Promise<string>;
}

/** Discovery waits for the first sign-in, so that the node starts without the server. */
export function createSignIn(settings: NodeSettings, redirectUri: string): SignIn {
  let discovered: openid.Configuration | null = null;
  const discover = async (): Promise<openid.Configuration> => (discovered ??= await discovery(settings));

  return {
    begin: () =>
      orProblem(async () => {
        const codeVerifier = openid.randomPKCECodeVerifier();
        const pending = { state: openid.randomState(), nonce: openid.randomNonce(), codeVerifier };
        const url = openid.buildAuthorizationUrl(await discover(), {
          redirect_uri: redirectUri,
          scope: 'openid',
          state: pending.state,
          nonce: pending.nonce,
          code_challenge: await openid.calculatePKCECodeChallenge(codeVerifier),
          code_challenge_method: 'S256',
        });
        return { url, pending };
      }),
    finish: (currentUrl, { state, nonce, codeVerifier }) =>
      orProblem(async () => {
        const tokens = await openid.authorizationCodeGrant(await discover(), currentUrl, {
          expectedState: state,
          expectedNonce: nonce,
          pkceCodeVerifier: codeVerifier,
          idTokenExpected: true,
        });
        return tokens.id_token ?? '';
      }),
  };
}

async function discovery(settings: NodeSettings): Promise<openid.Configuration> {
  const { issuer, clientId } = settings;
  // The library marks this as deprecated so that nobody uses it beyond loopback.
  // eslint-disable-next-line @typescript-eslint/no-deprecated
  const execute = issuer.startsWith('http:') ? [openid.allowInsecureRequests] : [];
  return openid.discovery(new URL(issuer), clientId, {}, authenticationOf(settings), {
    execute,
    timeout: TIMEOUT_SECONDS,
  });
}

/** By the node's secret or by its key, as its other requests. */
function authenticationOf(settings: NodeSettings): openid.ClientAuth {
  const authenticate = createNodeAuthentication(settings);
  const authentication = async (...[, , body, sent]: Parameters<openid.ClientAuth>): Promise<void> => {
    const { headers, parameters } = await authenticate();
    for (const [name, value] of Object.entries(headers)) sent.set(name, value);
    for (const [name, value] of Object.entries(parameters)) body.set(name, value);
  };
  // The library waits for it, as for its own PrivateKeyJwt, which its type does not say.
  // eslint-disable-next-line @typescript-eslint/no-misused-promises
  return authentication;
}

async function orProblem<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw toProblem(error);
  }
}

/** Whose fault it was decides: what Portcullis refused by its own word, an answer that is not right, or an outage. */
function toProblem(error: unknown): Problem {
  const { error: refused, code, status } = error as Readonly<Record<string, unknown>>; // whatever the library throws
  // By the answer that came with the browser (RFC 6749 4.1.2.1).
  if (refused === 'access_denied' && code === 'OAUTH_AUTHORIZATION_RESPONSE_ERROR') {
    return new Problem(403, 'You did not allow it, so you are not signed in.');
  }
  if (typeof refused === 'string' && !(Number(status) >= 500)) {
    return new Problem(403, `Portcullis refused: ${refused}.`);
  }
  const isAnswer =
    typeof code === 'string' && /_(RESPONSE|COMPARISON_FAILED|CHECK_FAILED|SELECTION_FAILED)$/.test(code);
  return isAnswer
    ? new Problem(400, `The answer was not accepted (${code}). Begin the sign-in again.`)
    : new Problem(503, 'Portcullis could not be asked. Try again in a moment.');
}
