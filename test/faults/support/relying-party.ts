/** The requests of the clients that installation.ts registers, and what their answers hold. */
import { randomUUID } from 'node:crypto';

import { SignJWT } from 'jose';

import type { Answer, HttpClient, HttpRequest } from './http-client.ts';
import { ISSUER, KEY_CLIENT, LOAD_CLIENT, RESOURCE, VPN_NODE } from './installation.ts';
import type { Installation } from './installation.ts';

const ASSERTION_TYPE = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';
const ASSERTION_SECONDS = 240;

interface Resource {
  readonly identifier: string;
  readonly scope: string;
}

interface Credentials {
  readonly id: string;
  readonly secret: string;
}

const basic = ({ id, secret }: Credentials): Record<string, string> => ({
  Authorization: `Basic ${Buffer.from(`${id}:${secret}`).toString('base64')}`,
});

const LOAD_HEADERS = basic(LOAD_CLIENT);
const CLIENT_CREDENTIALS = { grant_type: 'client_credentials', scope: 'read' };

const post = (path: string, headers: Record<string, string>, form: Record<string, string>): HttpRequest => ({
  method: 'POST',
  path,
  headers,
  form,
});

/** Every request is LOAD_CLIENT's where it does not say otherwise. */
export const requests = {
  token: () => post('/token', LOAD_HEADERS, CLIENT_CREDENTIALS),
  jwtToken: ({ identifier, scope }: Resource = RESOURCE) =>
    post('/token', LOAD_HEADERS, { grant_type: 'client_credentials', scope, resource: identifier }),
  tokenOf: (credentials: Credentials) => post('/token', basic(credentials), CLIENT_CREDENTIALS),
  nodeToken: () => post('/token', basic(VPN_NODE), CLIENT_CREDENTIALS),
  assertionToken: (assertion: string) =>
    post(
      '/token',
      {},
      {
        ...CLIENT_CREDENTIALS,
        client_assertion_type: ASSERTION_TYPE,
        client_assertion: assertion,
      },
    ),
  introspection: (token: string) => post('/introspect', LOAD_HEADERS, { token }),
  revocation: (token: string) => post('/revoke', LOAD_HEADERS, { token }),
  exchange: (nodeToken: string): HttpRequest => ({
    method: 'POST',
    path: '/vpn/auth',
    headers: { Authorization: `Bearer ${nodeToken}` },
  }),
  jwks: (): HttpRequest => ({ method: 'GET', path: '/jwks' }),
} as const;

/** An assertion of KEY_CLIENT that may be used once. */
export function signAssertion({ clientKey }: Installation): Promise<string> {
  return new SignJWT({ jti: randomUUID() })
    .setProtectedHeader({ alg: 'ES256', kid: 'k' })
    .setIssuer(KEY_CLIENT)
    .setSubject(KEY_CLIENT)
    .setAudience(ISSUER)
    .setIssuedAt()
    .setExpirationTime(`${ASSERTION_SECONDS} s`)
    .sign(clientKey);
}

/** The members of a JSON answer; none where it is something else. */
export function membersOf({ body }: Answer): Readonly<Record<string, unknown>> {
  try {
    const parsed: unknown = JSON.parse(body);
    return typeof parsed === 'object' && parsed !== null ? { ...parsed } : {};
  } catch {
    return {};
  }
}

/** The access token of a 200; null for any other answer. */
export function tokenOf(answer: Answer): string | null {
  const { access_token: token } = membersOf(answer);
  return answer.status === 200 && typeof token === 'string' ? token : null;
}

/** Gets a token or throws. */
export async function getToken(http: HttpClient, request: HttpRequest): Promise<string> {
  const answer = await http.send(request);
  const token = tokenOf(answer);
  if (token === null) throw new Error(`no token: ${describeAnswer(answer)}`);
  return token;
}

/** One line for a failure's message. */
export const describeAnswer = ({ status, failure, body, ms }: Answer): string =>
  `${failure ?? status} after ${ms.toFixed(0)} ms: ${body.slice(0, 300)}`;
