/** The server of a VPN node, for its tests: it gives tokens and outages without a network, and nobody waits. */
import { randomUUID } from 'node:crypto';

import type { Fetch, NodeSettings } from '../../src/sdk/node/node.ts';
import { readNodeSettings } from '../../src/sdk/node/node.ts';
import { createIssuer, ISSUER } from './issuer.ts';
import type { TestIssuer, TokenChanges } from './issuer.ts';

export const NODE = 'node-berlin';
export const SECRET = 'the secret of: the+node';
export const VPN_AUDIENCE = 'vpn-node';

export interface Asked {
  readonly path: string;
  readonly headers: Headers;
  readonly body: string;
}

type Answer = () => Response | Promise<Response>;

export interface Parent {
  readonly issuer: TestIssuer;
  readonly settings: NodeSettings;
  /** What is answered at each path before its usual answer, in this order. */
  readonly next: Answer[];
  readonly asked: Asked[];
  /** Milliseconds of each pause. */
  readonly pauses: number[];
  /** What the client takes in the place of the network, the clock and chance. */
  readonly world: {
    readonly fetch: Fetch;
    readonly now: () => number;
    readonly random: () => number;
    readonly sleep: (ms: number, signal: AbortSignal | undefined) => Promise<void>;
  };
  paths(): readonly string[];
  /** A VPN JWT: of a person, unless the changes say otherwise. */
  vpnToken(changes?: TokenChanges): Promise<string>;
}

const ofPerson = (): Readonly<Record<string, unknown>> => ({
  aud: VPN_AUDIENCE,
  sub: 'alice',
  client_id: NODE,
  jti: randomUUID(),
  scope: 'read',
  username: 'alice',
  email: 'alice@example.com',
  role: 'admin',
  level: 50,
  act: { sub: NODE },
});

/** The claims by which a node's own token differs. */
export const OF_NODE = {
  sub: NODE,
  username: NODE,
  email: undefined,
  role: 'node',
  level: 0,
  act: undefined,
} as const;

export async function createParent(): Promise<Parent> {
  const issuer = await createIssuer('RS256');
  const parent: Parent = {
    issuer,
    settings: readNodeSettings({
      PORTBRO_CLIENT_ID: NODE,
      PORTBRO_CLIENT_SECRET: SECRET,
      PARENT_ISSUER: ISSUER,
    }),
    next: [],
    asked: [],
    pauses: [],
    world: {
      fetch: async (input, init = {}) => {
        const request = new Request(input, init);
        const path = new URL(request.url).pathname;
        if (path === '/jwks') return issuer.options.fetch?.(new URL(request.url), init) ?? Response.error();
        parent.asked.push({ path, headers: request.headers, body: await request.text() });
        const answer = parent.next.shift();
        if (answer !== undefined) return answer();
        return path === '/token' ? given('opaque-token') : given(await parent.vpnToken({ claims: OF_NODE }));
      },
      now: () => issuer.at,
      random: () => 0,
      sleep: async (ms, signal) => {
        signal?.throwIfAborted();
        parent.pauses.push(ms);
      },
    },
    paths: () => parent.asked.map(({ path }) => path),
    vpnToken: ({ claims = {}, ...rest } = {}) => {
      const times = { iat: issuer.at, exp: issuer.at + 3600 };
      return issuer.token({ claims: { ...ofPerson(), ...times, ...claims }, ...rest });
    },
  };
  return parent;
}

/** A token endpoint's answer. */
export const given = (token: string): Response =>
  Response.json({ access_token: token, token_type: 'Bearer', expires_in: 3600 });

/** An answer without a token. */
export const refusal = (status: number, body: unknown = {}, headers: Record<string, string> = {}): Response =>
  Response.json(body, { status, headers });
