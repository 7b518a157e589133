/** Clients for tests: registered through administration as an operator would, and their requests. */
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import type { CryptoKey, JWK } from 'jose';
import { randomUUID } from 'node:crypto';

import type { Administration } from '../../src/composition/administration.ts';
import type { TestServer } from './server.ts';

export interface Credentials {
  readonly id: string;
  readonly secret: string;
}

/** Applies a document and fails the test where it is refused. Gives the secrets that were made, by id. */
export async function apply(administration: Administration, document: object): Promise<Map<string, string>> {
  const outcome = await administration.apply(JSON.stringify(document), {}, false);
  if (!outcome.ok) throw new Error(JSON.stringify(outcome.faults));
  return new Map(outcome.items.flatMap(({ id, secret }) => (secret === null ? [] : [[id, secret] as const])));
}

/** A VPN node with a secret that the server made. */
export async function createVpnNode({
  administration,
}: Pick<TestServer, 'administration'>): Promise<Credentials> {
  const id = `node-${randomUUID().slice(0, 8)}`;
  const secrets = await apply(administration, { vpn_nodes: [{ client_id: id }] });
  return { id, secret: secrets.get(id) ?? '' };
}

/** A client of the given scope. */
export async function createClient(
  { administration }: Pick<TestServer, 'administration'>,
  scope: string,
  fields: object = {},
): Promise<Credentials> {
  const id = `client-${randomUUID().slice(0, 8)}`;
  const secrets = await apply(administration, { clients: [{ client_id: id, scope, ...fields }] });
  return { id, secret: secrets.get(id) ?? '' };
}

export const basic = ({ id, secret }: Credentials): string =>
  `Basic ${Buffer.from(`${id}:${secret}`).toString('base64')}`;

/** A form post as OAuth clients send it. */
export const form = (parameters: Readonly<Record<string, string>>, authorization?: string): RequestInit => ({
  method: 'POST',
  headers: {
    'content-type': 'application/x-www-form-urlencoded',
    ...(authorization !== undefined && { authorization }),
  },
  body: new URLSearchParams(parameters).toString(),
});

/** The JSON object of an answer. */
export async function json(answer: Response): Promise<Record<string, unknown>> {
  return (await answer.json()) as Record<string, unknown>; // tests look at single members
}

/** An access token by client_credentials. */
export async function getToken(
  server: Pick<TestServer, 'request'>,
  credentials: Credentials,
  parameters: Readonly<Record<string, string>> = { scope: 'read' },
): Promise<string> {
  const answer = await server.request(
    '/token',
    form({ grant_type: 'client_credentials', ...parameters }, basic(credentials)),
  );
  const body = await json(answer);
  if (typeof body['access_token'] !== 'string') throw new Error(JSON.stringify(body));
  return body['access_token'];
}

export interface KeyClient {
  readonly id: string;
  readonly privateKey: CryptoKey;
}

/** A client that authenticates by private_key_jwt. */
export async function createKeyClient(server: TestServer): Promise<KeyClient> {
  const { privateKey, publicKey } = await generateKeyPair('ES256');
  const jwk: JWK = { ...(await exportJWK(publicKey)), kid: 'one', alg: 'ES256', use: 'sig' };
  const { id } = await createClient(server, 'read', {
    token_endpoint_auth_method: 'private_key_jwt',
    jwks: { keys: [jwk] },
  });
  return { id, privateKey };
}

/** A client assertion (RFC 7523 2.2); `claims` replace its own. */
export function assertion(
  { id, privateKey }: KeyClient,
  audience: string,
  claims: object = {},
): Promise<string> {
  const now = Math.floor(Date.now() / 1000);
  return new SignJWT({
    iss: id,
    sub: id,
    aud: audience,
    jti: randomUUID(),
    iat: now,
    exp: now + 60,
    ...claims,
  })
    .setProtectedHeader({ alg: 'ES256', kid: 'one' })
    .sign(privateKey);
}

/** The form of a request that authenticates by an assertion. */
export const assertionForm = (client_assertion: string): RequestInit =>
  form({
    grant_type: 'client_credentials',
    scope: 'read',
    client_assertion,
    client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
  });
