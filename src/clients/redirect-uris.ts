/**
 * Where an answer may be sent: what an administrator may register as a redirect URI. Which of them a request means
 * is compared exactly, by the engine (RFC 9700 2.1). And where this server itself may ask or tell something.
 */
import { z } from 'zod';

const LOOPBACK = new Set(['localhost', '127.0.0.1', '[::1]']);
/** RFC 8252 7.1: a scheme of one's own is a domain name in reverse, so it has a dot. */
const PRIVATE_SCHEME = /^[a-z][a-z0-9+-]*(\.[a-z0-9+-]+)+:$/;

/** An absolute URI, without what would make more than one address of it. */
export const RedirectUri = z
  .string()
  .max(2_000)
  .refine(
    (uri) => URL.canParse(uri) && !uri.includes('#') && !uri.includes('*'),
    'an absolute URI without fragment or wildcard',
  );

export type ApplicationType = 'web' | 'native';

/**
 * Why this server would send no request there, or null. That a loopback is for development is seen when it is sent. Here
 * and below what is no URI at all is null: its schema has told that already.
 */
export function serverUriFault(uri: string): string | null {
  if (!URL.canParse(uri)) return null;
  const { protocol, hostname, username, password } = new URL(uri);
  if (username !== '' || password !== '' || uri.includes('#'))
    return 'a URL without user, password and fragment';
  if (protocol === 'https:' || (protocol === 'http:' && LOOPBACK.has(hostname))) return null;
  return 'an https URL; over http only a loopback address, in development';
}

/** Why the URI is none for such an application, or null. */
export function redirectUriFault(uri: string, applicationType: ApplicationType): string | null {
  if (!URL.canParse(uri)) return null;
  const { protocol, hostname, username, password } = new URL(uri);
  if (username !== '' || password !== '') return 'a URI without user and password';
  if (protocol === 'https:') return null;
  if (protocol === 'http:') {
    return LOOPBACK.has(hostname) ? null : 'https: a code sent over http is read on the way (RFC 9700 2.6)';
  }
  if (applicationType === 'web') return 'an https URI; a scheme of its own has an application_type of native';
  return PRIVATE_SCHEME.test(protocol)
    ? null
    : 'a scheme that is a domain name in reverse, such as com.example.app:/callback (RFC 8252 7.1)';
}
