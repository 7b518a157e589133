/** A VPN node that people sign in at, what it asks for on their behalf, and what it is given. */
import { randomUUID } from 'node:crypto';

import { createLocalJWKSet, jwtVerify } from 'jose';
import type { JSONWebKeySet, JWTPayload } from 'jose';

import { apply, basic, form, getToken, json } from '../support/clients.ts';
import type { Credentials } from '../support/clients.ts';
import { asRelyingParty, REDIRECT_URI, signIn } from '../support/relying-party.ts';
import type { RelyingParty, Session } from '../support/relying-party.ts';
import type { SignInServer } from '../support/sign-in.ts';
import type { Account } from '../../src/storage/port.ts';

const TYPES = 'urn:ietf:params:oauth:token-type';
export const ID_TOKEN = `${TYPES}:id_token`;
export const ACCESS_TOKEN = `${TYPES}:access_token`;
export const TOKEN_EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';

export type Node = RelyingParty;
type Server = Pick<SignInServer, 'administration' | 'issuer' | 'origin' | 'request'>;

/** Registers a node that people sign in at. */
export async function createNode(server: Server, fields: object = {}): Promise<Node> {
  const id = `node-${randomUUID().slice(0, 8)}`;
  const node = { client_id: id, redirect_uris: [REDIRECT_URI], ...fields };
  const secret = (await apply(server.administration, { vpn_nodes: [node] })).get(id) ?? '';
  return asRelyingParty(server, { id, secret });
}

export const resourceOf = ({ issuer }: Pick<SignInServer, 'issuer'>): string => `${issuer}/vpn`;

/** Signs a person in at the node, without the node's resource. */
export const signInAt = (
  server: SignInServer,
  node: Node,
  account: Account,
  parameters: Readonly<Record<string, string>> = {},
): Promise<Session> => signIn(server, node, account, { parameters });

/** A subject token as a node presents it. */
export interface Subject {
  readonly token: string;
  readonly type: string;
}

/** The two tokens that a node may present of a person who signed in at it. */
export const subjectsOf = ({ tokens }: Pick<Session, 'tokens'>): readonly [Subject, Subject] => [
  { token: tokens.id_token ?? '', type: ID_TOKEN },
  { token: tokens.access_token, type: ACCESS_TOKEN },
];

export interface Asked {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Record<string, unknown>;
}

const asked = async (answer: Response): Promise<Asked> => ({
  status: answer.status,
  headers: answer.headers,
  body: await json(answer),
});

/** By both ways: each is a door of its own to the one exchange. */
export const DOORS = {
  '/vpn/auth': async (server: Server, node: Credentials, { token, type }: Subject): Promise<Asked> =>
    asked(
      await server.request('/vpn/auth/', {
        method: 'POST',
        headers: {
          authorization: `Bearer ${await getToken(server, node)}`,
          'content-type': 'application/json',
        },
        body: JSON.stringify({ subject_token: token, subject_token_type: type }),
      }),
    ),
  '/token': (server: Server, node: Credentials, subject: Subject): Promise<Asked> =>
    exchangeAtToken(server, node, { subject_token: subject.token, subject_token_type: subject.type }),
} as const;

export type Door = keyof typeof DOORS;
export const DOOR_NAMES = Object.keys(DOORS) as readonly Door[]; // a literal that nothing adds to

/** RFC 8693, with any parameters. */
export const exchangeAtToken = async (
  server: Server,
  node: Credentials,
  parameters: Readonly<Record<string, string>>,
): Promise<Asked> =>
  asked(await server.request('/token', form({ grant_type: TOKEN_EXCHANGE, ...parameters }, basic(node))));

/** The claims of a VPN JWT, verified as another node does. */
export async function verified(server: Server, jwt: unknown): Promise<JWTPayload> {
  const jwks = (await (await server.request('/jwks')).json()) as JSONWebKeySet; // RFC 7517 5
  const { payload, protectedHeader } = await jwtVerify(String(jwt), createLocalJWKSet(jwks), {
    issuer: server.issuer,
    audience: 'vpn-node',
    algorithms: ['RS256'],
    typ: 'at+jwt',
    requiredClaims: ['jti', 'iat', 'exp'],
  });
  if (typeof protectedHeader.kid !== 'string') throw new Error('the JWT names no key');
  return payload;
}

/** What a VPN JWT says of a person at a node, apart from its times and its id. */
export const claimsOf = (
  server: Server,
  node: Credentials,
  { username, email }: Account,
  role: string,
  level: number,
): object => ({
  ...{ iss: server.issuer, aud: 'vpn-node', sub: username, client_id: node.id, scope: 'read' },
  ...{ username, email, role, level, act: { sub: node.id } },
});

/** Without its times and its id, after a look at them. */
export function lasting({ iat = 0, exp = 0, jti, ...claims }: JWTPayload): object {
  if (exp - iat !== 3_600) throw new Error(`it lives ${exp - iat} s`);
  if (jti === undefined || jti.length < 20) throw new Error('it has no id of its own');
  return claims;
}
