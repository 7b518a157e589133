/** A relying party by openid-client, at a server whose issuer is on loopback without TLS. */
import { randomUUID } from 'node:crypto';

import * as openid from 'openid-client';

import type { Administration } from '../../src/composition/administration.ts';
import type { Account } from '../../src/storage/port.ts';
import { apply, form } from './clients.ts';
import type { Credentials } from './clients.ts';
import { fetchAs } from './fetch-as.ts';
import { answer } from './sign-in.ts';
import type { Journey, Person, SignInServer } from './sign-in.ts';
import type { UserAgent } from './user-agent.ts';

// The library marks this so that nobody uses it elsewhere.
// eslint-disable-next-line @typescript-eslint/no-deprecated
const overHttp = openid.allowInsecureRequests;

export const REDIRECT_URI = 'https://app.example.com/callback';
export const AFTER_LOGOUT = 'https://app.example.com/bye';

export interface RelyingParty {
  readonly id: string;
  readonly secret: string;
  readonly config: openid.Configuration;
}

/** Registers a client and discovers the server for it. */
export async function createRelyingParty(
  server: SignInServer,
  fields: object = {},
  origin = server.origin,
): Promise<RelyingParty> {
  const id = `app-${randomUUID().slice(0, 8)}`;
  const secret = await register(server.administration, id, fields);
  return asRelyingParty(server, { id, secret }, origin);
}

/** Discovers the server for a client that is registered. */
export async function asRelyingParty(
  server: Pick<SignInServer, 'issuer' | 'origin'>,
  { id, secret }: Credentials,
  origin = server.origin,
): Promise<RelyingParty> {
  const authentication = secret === '' ? openid.None() : openid.ClientSecretBasic(secret);
  const config = await openid.discovery(new URL(server.issuer), id, undefined, authentication, {
    execute: [overHttp],
    [openid.customFetch]: (url, init) => {
      const { pathname, search } = new URL(url);
      return fetchAs(server.issuer, origin + pathname + search, init as RequestInit);
    },
  });
  return { id, secret, config };
}

async function register(administration: Administration, id: string, fields: object): Promise<string> {
  const client = {
    client_id: id,
    client_name: `Application ${id}`,
    redirect_uris: [REDIRECT_URI],
    post_logout_redirect_uris: [AFTER_LOGOUT],
    grant_types: ['authorization_code', 'refresh_token'],
    scope: 'openid profile email phone address offline_access read',
    ...fields,
  };
  return (await apply(administration, { clients: [client] })).get(id) ?? '';
}

/** A request at the authorization endpoint, with what belongs to it. */
export interface Asked {
  readonly url: URL;
  readonly verifier: string;
  readonly state: string;
  readonly nonce: string;
}

/** Builds a request with PKCE, state and nonce; `parameters` replace its own. */
export async function ask(
  { config }: RelyingParty,
  parameters: Readonly<Record<string, string>> = {},
): Promise<Asked> {
  const verifier = openid.randomPKCECodeVerifier();
  const [state, nonce] = [openid.randomState(), openid.randomNonce()];
  const url = openid.buildAuthorizationUrl(config, {
    redirect_uri: REDIRECT_URI,
    scope: 'openid profile email',
    code_challenge: await openid.calculatePKCECodeChallenge(verifier),
    code_challenge_method: 'S256',
    state,
    nonce,
    ...parameters,
  });
  return { url, verifier, state, nonce };
}

type Tokens = openid.TokenEndpointResponse & openid.TokenEndpointResponseHelpers;

/** Redeems the code of a journey, with all the checks of the library. */
export function redeem(
  { config }: RelyingParty,
  { verifier, state, nonce }: Asked,
  left: URL | null,
  parameters: Readonly<Record<string, string>> = {},
  checks: openid.AuthorizationCodeGrantChecks = {},
): Promise<Tokens> {
  if (left === null) throw new Error('the journey did not lead back to the application');
  return openid.authorizationCodeGrant(
    config,
    left,
    {
      pkceCodeVerifier: verifier,
      expectedState: state,
      expectedNonce: nonce,
      idTokenExpected: true,
      ...checks,
    },
    parameters,
  );
}

export interface Session {
  readonly browser: UserAgent;
  readonly journey: Journey;
  readonly asked: Asked;
  readonly tokens: Tokens;
}

/** Signs a person in at an application, by every step. */
export async function signIn(
  server: SignInServer,
  party: RelyingParty,
  account: Account,
  {
    parameters = {},
    browser = server.browser(),
    person = {},
  }: {
    parameters?: Readonly<Record<string, string>>;
    browser?: UserAgent;
    person?: Partial<Person>;
  } = {},
): Promise<Session> {
  const asked = await ask(party, parameters);
  const journey = await answer(browser, asked.url.href, { account, ...person });
  return { browser, journey, asked, tokens: await redeem(party, asked, journey.left) };
}

/** The hidden fields of a page's form. */
export const fieldsOf = (html: string): Record<string, string> =>
  Object.fromEntries(
    [...html.matchAll(/type="hidden" name="(\w+)" value="([^"]*)"/g)].map(([, name = '', value = '']) => [
      name,
      value,
    ]),
  );

/** Signs the browser out, by the page that asks whether the person wants to. */
export async function signOut(
  browser: UserAgent,
  url = '/logout',
  choice: Readonly<Record<string, string>> = { logout: 'yes' },
): Promise<{ left: URL | null; html: string; answer: Response }> {
  const { answer: page } = await browser.open(url);
  const html = await page.text();
  const { xsrf = '' } = fieldsOf(html);
  return { html, ...(await browser.open('/logout/confirm', form({ xsrf, ...choice }))) };
}
