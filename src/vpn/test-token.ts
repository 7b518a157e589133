/**
 * Test tokens: what a node takes in development in the place of a VPN JWT, for any name and role, by a secret that it
 * shares with whoever develops it. Issuer, audience and algorithm are none of this server's own, so that nothing that
 * checks real tokens takes one.
 */
import { randomUUID } from 'node:crypto';

import { SignJWT } from 'jose';

import { TEST_AUDIENCE } from '../names.ts';

/** As the nodes that there are know them. */
const ISSUER = 'portbro.com';
const LIFETIME_SECONDS = 3_600;

/** Whom the token is to be taken for. */
export interface TestPerson {
  readonly username: string;
  readonly email: string;
  readonly role: string;
}

/** Signs one by HS256; `secret` has 32 bytes or more. */
export const signTestToken = (
  { username, email, role }: TestPerson,
  secret: string,
  now: number,
): Promise<string> =>
  new SignJWT({ username, email, role })
    .setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
    .setIssuer(ISSUER)
    .setAudience(TEST_AUDIENCE)
    .setSubject(username)
    .setIssuedAt(now)
    .setExpirationTime(now + LIFETIME_SECONDS)
    .setJti(randomUUID())
    .sign(Buffer.from(secret));
