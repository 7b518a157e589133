/** A node's keys for tests: what it signs to enrol and to rotate, and each way in which that can be wrong. */
import { calculateJwkThumbprint, exportJWK, generateKeyPair, SignJWT } from 'jose';
import type { CryptoKey, JWK } from 'jose';
import { hash, randomUUID } from 'node:crypto';

import { form, json } from '../support/clients.ts';
import type { TestServer } from '../support/server.ts';

type Server = Pick<TestServer, 'issuer' | 'request'>;
type Administered = Server & Pick<TestServer, 'administration'>;

export interface NodeKey {
  readonly alg: string;
  readonly kid: string;
  readonly privateKey: CryptoKey;
  readonly publicJwk: JWK;
}

export async function makeNodeKey(alg = 'ES256'): Promise<NodeKey> {
  const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true });
  const publicJwk = await exportJWK(publicKey);
  return { alg, privateKey, publicJwk, kid: await calculateJwkThumbprint(publicJwk) };
}

export interface Changes {
  readonly claims?: object;
  readonly header?: object;
  /** Who signs, where it is not the key that the header names. */
  readonly by?: NodeKey;
}

const times = (): object => {
  const now = Math.floor(Date.now() / 1000);
  return { jti: randomUUID(), iat: now, exp: now + 60 };
};

const sign = (by: NodeKey, header: object, claims: object): Promise<string> =>
  new SignJWT({ ...claims }).setProtectedHeader({ alg: by.alg, ...header }).sign(by.privateKey);

/** The proof of a key, sent with a code or with a request. */
export const proofOf = (
  key: NodeKey,
  server: Pick<TestServer, 'issuer'>,
  sentWith: string,
  { claims = {}, header = {}, by = key }: Changes = {},
): Promise<string> =>
  sign(
    by,
    { typ: 'vpn-key+jwt', jwk: key.publicJwk, ...header },
    { aud: server.issuer, ...times(), for_hash: hash('sha256', sentWith, 'base64url'), ...claims },
  );

/** The request for a rotation to `next`. */
export const rotationOf = (
  clientId: string,
  present: NodeKey,
  next: NodeKey,
  server: Pick<TestServer, 'issuer'>,
  { claims = {}, header = {}, by = present }: Changes = {},
): Promise<string> =>
  sign(
    by,
    { typ: 'vpn-rotation+jwt', kid: present.kid, ...header },
    {
      ...{ iss: clientId, sub: clientId, aud: server.issuer },
      ...{ ...times(), cnf: { jkt: next.kid }, ...claims },
    },
  );

export interface Asked {
  readonly status: number;
  readonly body: Readonly<Record<string, unknown>>;
  readonly headers: Headers;
}

export async function post(
  server: Pick<Server, 'request'>,
  path: string,
  body: unknown,
  bearer?: string,
): Promise<Asked> {
  const answer = await server.request(path, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      ...(bearer !== undefined && { authorization: `Bearer ${bearer}` }),
    },
    body: JSON.stringify(body),
  });
  return { status: answer.status, headers: answer.headers, body: await json(answer) };
}

export const enrol = async (server: Server, code: string, key: NodeKey, changes?: Changes): Promise<Asked> =>
  post(server, '/vpn/enrol', { code, proof: await proofOf(key, server, code, changes) });

export async function rotate(
  server: Server,
  clientId: string,
  present: NodeKey,
  next: NodeKey,
): Promise<Asked> {
  const request = await rotationOf(clientId, present, next, server);
  return post(server, '/vpn/keys', { proof: await proofOf(next, server, request) }, request);
}

/** The status of a token request by that key. */
export const tokenBy = async (server: Server, clientId: string, key: NodeKey, claims = {}): Promise<number> =>
  (await tokenWith(server, await assertionBy(server, clientId, key, claims))).status;

/** A client assertion (RFC 7523 2.2). */
export const assertionBy = (
  server: Pick<Server, 'issuer'>,
  clientId: string,
  key: NodeKey,
  claims = {},
): Promise<string> =>
  sign(key, { kid: key.kid }, { iss: clientId, sub: clientId, aud: server.issuer, ...times(), ...claims });

export const tokenWith = (server: Pick<Server, 'request'>, client_assertion: string): Promise<Response> =>
  server.request(
    '/token',
    form({
      ...{ grant_type: 'client_credentials', scope: 'read', client_assertion },
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
    }),
  );

export const newId = (): string => `node-${randomUUID().slice(0, 8)}`;

/** A code, for a node that is made where there is none. */
export async function offer(
  { administration }: Pick<TestServer, 'administration'>,
  id = newId(),
  lifetime = 3_600,
) {
  const offered = await administration.nodes.enrol(id, lifetime, undefined);
  if (!offered.ok) throw new Error(JSON.stringify(offered.faults));
  return { id, ...offered };
}

/** A node that has enrolled. */
export async function enrolled(server: Administered, key?: NodeKey) {
  const { id, code } = await offer(server);
  const own = key ?? (await makeNodeKey());
  const { status, body } = await enrol(server, code, own);
  if (status !== 200) throw new Error(JSON.stringify(body));
  return { id, code, key: own };
}

/** What the audit log has of a node, the oldest first. */
export const records = async ({ administration }: Pick<TestServer, 'administration'>, id: string) => {
  const { items } = await administration.audit.list({ limit: 50 }, { target: `client:${id}` }, 'oldest');
  return items;
};
