/** A revocation feed as a node or a gateway reads it by itself, without the package: pages, streams, their signatures. */
import { createLocalJWKSet, jwtVerify } from 'jose';
import type { JSONWebKeySet, JWTPayload } from 'jose';

import { getToken } from '../support/clients.ts';
import type { Credentials } from '../support/clients.ts';
import type { SignInServer } from '../support/sign-in.ts';

const BEGINNING = 0;

/** Of VPN nodes, and of gateways. */
const FEEDS = {
  vpn: { path: '/vpn/revocations', audience: 'vpn-node', typ: 'vpn-revocations+jwt' },
  customers: { path: '/gateway/revocations', audience: 'petstore', typ: 'customer-revocations+jwt' },
} as const;
type Whose = keyof typeof FEEDS;

type Server = Pick<SignInServer, 'issuer' | 'origin' | 'request'>;

export interface FeedClaims extends JWTPayload {
  readonly iat: number;
  readonly from: number;
  readonly to: number;
  readonly more: boolean;
  readonly revoked: readonly Readonly<Record<string, unknown>>[];
}

export interface Feed {
  readonly token: string;
  /** Any request for it. */
  ask(query?: string, headers?: Readonly<Record<string, string>>, origin?: string): Promise<Response>;
  /** The page behind a cursor. */
  page(since?: number): Promise<FeedClaims>;
  /** The cursor at the end. */
  end(): Promise<number>;
  /** What was revoked since, without the times. */
  since(cursor: number): Promise<readonly Readonly<Record<string, unknown>>[]>;
  /** A stream; `next` gives the pages one by one, null at its end. */
  stream(since: number, origin?: string, headers?: Readonly<Record<string, string>>): Promise<FeedStream>;
}

export interface FeedStream {
  readonly answer: Response;
  next(): Promise<{ readonly id: string; readonly page: FeedClaims } | null>;
}

/** The feed, as that node or gateway reads it. */
export async function feedOf(server: Server, client: Credentials, whose: Whose = 'vpn'): Promise<Feed> {
  const { path } = FEEDS[whose];
  const token = await getToken(server, client);
  const verify = await verifierOf(server, whose);
  const ask: Feed['ask'] = (query = '', headers = {}, origin = server.origin) =>
    fetch(`${origin}${path}${query}`, { headers: { authorization: `Bearer ${token}`, ...headers } });
  const page: Feed['page'] = async (since = BEGINNING) => {
    const answer = await ask(`?since=${since}`);
    if (answer.status !== 200) throw new Error(`${answer.status} ${await answer.text()}`);
    return verify(await answer.text());
  };
  const rest = async (since: number): Promise<readonly FeedClaims[]> => {
    const first = await page(since);
    return first.more ? [first, ...(await rest(first.to))] : [first];
  };
  return {
    token,
    ask,
    page,
    end: async () => (await rest(BEGINNING)).at(-1)?.to ?? BEGINNING,
    since: async (cursor) =>
      (await rest(cursor)).flatMap(({ revoked }) => revoked).map(({ before: _, exp: __, ...named }) => named),
    stream: async (since, origin, headers = {}) => {
      const answer = await ask(`?since=${since}`, { accept: 'text/event-stream', ...headers }, origin);
      return { answer, ...eventsOf(answer, verify) };
    },
  };
}

async function verifierOf(server: Server, whose: Whose): Promise<(signed: string) => Promise<FeedClaims>> {
  const { audience, typ } = FEEDS[whose];
  const jwks = (await (await server.request('/jwks')).json()) as JSONWebKeySet; // RFC 7517 5
  const keys = createLocalJWKSet(jwks);
  return async (signed) => {
    const { payload } = await jwtVerify<FeedClaims>(signed, keys, {
      ...{ issuer: server.issuer, audience, typ },
      algorithms: ['RS256'],
      requiredClaims: ['iat', 'from', 'to', 'more', 'revoked'],
    });
    return payload;
  };
}

function eventsOf(
  { body }: Response,
  verify: (signed: string) => Promise<FeedClaims>,
): Omit<FeedStream, 'answer'> {
  const reader = body?.pipeThrough(new TextDecoderStream()).getReader();
  let waiting = '';
  return {
    next: async () => {
      for (;;) {
        const [event, ...rest] = waiting.split('\n\n');
        if (event !== undefined && rest.length > 0) {
          waiting = rest.join('\n\n');
          const [, id = '', signed = ''] = /^id: (\d+)\nevent: revocations\ndata: (\S+)$/.exec(event) ?? [];
          return { id, page: await verify(signed) };
        }
        const next = await reader?.read();
        if (next === undefined || next.done) return null;
        waiting += next.value;
      }
    },
  };
}
