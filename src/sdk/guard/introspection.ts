/**
 * Asks the issuer about a token (RFC 7662), as the resource server that this back end is. A good answer is kept for a
 * moment, so that a busy token costs one question, and an ended one is refused within that moment.
 */
import { createHash } from 'node:crypto';

import { audiencesOf, invalid } from './auth.ts';
import type { Claims } from './auth.ts';
import { GuardError } from './errors.ts';
import { fetchJson } from './fetch-json.ts';
import type { Fetch } from './fetch-json.ts';
import { assertUnbound } from './jwt.ts';

const MAX_KEPT = 1_000;
/** Of tokens that nobody knows there is no end; their questions must not fill this process or the issuer. */
const MAX_QUESTIONS = 64;
/** The refresh token of a client is active, too, and has no type: it is no access token (RFC 7662 2.2). */
const TOKEN_TYPES: readonly unknown[] = ['bearer', 'api_key'];

interface IntrospectionOptions {
  readonly url: URL;
  readonly clientId: string;
  readonly clientSecret: string;
  readonly issuer: string;
  readonly audiences: readonly string[];
  readonly cacheSeconds: number;
  readonly fetch: Fetch;
  readonly now: () => number;
}

interface Kept {
  readonly claims: Claims;
  readonly until: number;
}

export type Introspect = (token: string) => Promise<Claims>;

/** Gives what the issuer says of an active token; throws a GuardError otherwise. */
export function createIntrospection(options: IntrospectionOptions): Introspect {
  const { cacheSeconds, now } = options;
  const kept = new Map<string, Kept>();
  const asked = new Map<string, Promise<Claims>>();

  const askAndKeep = async (token: string, key: string): Promise<Claims> => {
    const claims = await ask(token, options);
    if (cacheSeconds > 0) keep(kept, key, { claims, until: now() + cacheSeconds });
    return claims;
  };
  return async (token) => {
    const key = createHash('sha256').update(token).digest('base64url');
    const known = kept.get(key);
    if (known !== undefined && now() < known.until) return assertLive(known.claims, options);
    kept.delete(key);
    const running = asked.get(key);
    if (running !== undefined) return running;
    if (asked.size >= MAX_QUESTIONS)
      throw unavailable(new Error(`${MAX_QUESTIONS} questions are unanswered`));
    const question = askAndKeep(token, key).finally(() => asked.delete(key));
    asked.set(key, question);
    return question;
  };
}

/** The oldest one goes: a Map remembers the order in which it was filled. */
function keep(kept: Map<string, Kept>, key: string, entry: Kept): void {
  kept.set(key, entry);
  for (const oldest of kept.keys()) {
    if (kept.size <= MAX_KEPT) return;
    kept.delete(oldest);
  }
}

async function ask(token: string, options: IntrospectionOptions): Promise<Claims> {
  const { url, clientId, clientSecret, fetch } = options;
  let answer: unknown;
  try {
    answer = await fetchJson(fetch, url, {
      method: 'POST',
      headers: { accept: 'application/json', authorization: basic(clientId, clientSecret) },
      body: new URLSearchParams({ token }),
    });
  } catch (cause) {
    // Refused credentials of our own are here as well: they say nothing of the caller's token.
    throw unavailable(cause);
  }
  if (!isAnswer(answer)) throw unavailable(new Error('this is no introspection answer (RFC 7662 2.2)'));
  const { active, ...claims } = answer;
  if (!active) throw invalid('The token is unknown, has expired or was revoked.');
  return assertLive(claims, options);
}

const isAnswer = (answer: unknown): answer is Claims & { readonly active: boolean } =>
  typeof answer === 'object' && answer !== null && 'active' in answer && typeof answer.active === 'boolean';

/** An opaque token may have no audience: then the issuer's word that it concerns this resource server counts. */
function assertLive(claims: Claims, { issuer, audiences, now }: IntrospectionOptions): Claims {
  const { token_type: type, iss, exp, aud, cnf } = claims;
  assertUnbound(cnf);
  if (!TOKEN_TYPES.includes(String(type).toLowerCase())) throw invalid('This is no access token.');
  if (iss !== undefined && iss !== issuer) throw invalid('The token is of another issuer.');
  if (typeof exp === 'number' && exp <= now()) {
    throw new GuardError('ERR_GUARD_TOKEN_EXPIRED', 'The token has expired.');
  }
  if (aud !== undefined && !audiencesOf(claims).some((it) => audiences.includes(String(it)))) {
    throw invalid('The token is for another audience.');
  }
  return claims;
}

/** RFC 6749 2.3.1: both are form-encoded before they are joined. */
export function basic(clientId: string, clientSecret: string): string {
  const encode = (text: string): string => new URLSearchParams([['', text]]).toString().slice(1);
  return `Basic ${Buffer.from(`${encode(clientId)}:${encode(clientSecret)}`).toString('base64')}`;
}

const unavailable = (cause: unknown): GuardError =>
  new GuardError(
    'ERR_GUARD_INTROSPECTION_UNAVAILABLE',
    'The credential cannot be checked just now; try again in a moment.',
    { cause },
  );
