/** What the application says when signing in, renewing or signing out fails: whose fault it was decides. */
import type { Answer } from '../listen.ts';
import { problemPage } from './pages.ts';

/** openid-client's codes for an answer that is there and is not right. The others speak of none, or a broken one. */
const NOT_ACCEPTED: ReadonlySet<unknown> = new Set([
  'OAUTH_INVALID_RESPONSE',
  'OAUTH_JSON_ATTRIBUTE_COMPARISON_FAILED',
  'OAUTH_JWT_CLAIM_COMPARISON_FAILED',
  'OAUTH_JWT_TIMESTAMP_CHECK_FAILED',
  'OAUTH_KEY_SELECTION_FAILED',
]);

/** The page for an error: what the server refused by its own word, everything else by ours. */
export function toProblem(error: unknown): Answer {
  const refused = oauthError(error);
  // By the answer that came with the browser (RFC 6749 4.1.2.1).
  if (refused === 'access_denied' && member(error, 'code') === 'OAUTH_AUTHORIZATION_RESPONSE_ERROR') {
    return problemPage(400, 'You did not allow it, so you are not signed in.');
  }
  if (refused !== null) return problemPage(400, `Portcullis refused: ${refused}.`);
  const code = member(error, 'code');
  if (NOT_ACCEPTED.has(code)) return problemPage(400, `The answer was not accepted (${String(code)}).`);
  return problemPage(502, 'Portcullis could not be asked. Try again in a moment.');
}

/** The RFC 6749 error of an answer; null where there is none, and where it tells of an outage. */
export function oauthError(error: unknown): string | null {
  const name = member(error, 'error');
  const isOutage = Number(member(error, 'status')) >= 500;
  return typeof name === 'string' && !isOutage ? name : null;
}

const member = (error: unknown, name: string): unknown =>
  Error.isError(error) && name in error ? Reflect.get(error, name) : undefined;
