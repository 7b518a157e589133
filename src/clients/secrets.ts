/**
 * Secrets of clients: made of 256 random bits, shown once by whoever asked, kept as their SHA-256 only, and replaced
 * by a rotation that may let the old one go on for a while.
 */
import { randomBytes } from 'node:crypto';

import { digest } from '../digest.ts';
import { AppError } from '../errors.ts';
import { toInstant } from '../instant.ts';
import type { Client, ClientSecret } from '../storage/port.ts';

const SECRET_BYTES = 32;

export const makeSecret = (): string => randomBytes(SECRET_BYTES).toString('base64url');

/** SHA-256 suffices for random secrets (ASVS 6.5.2); argon2 on the token endpoint would be a denial of service. */
export const toSecret = (secret: string): ClientSecret => ({
  hash: digest(secret),
  expiresAt: null,
});

/** Among those that are kept: one that a rotation replaced has an end, which may be over. */
export const findSecret = (secrets: readonly ClientSecret[], secret: string): ClientSecret | undefined =>
  secrets.find((known) => known.hash === toSecret(secret).hash);

/** The client with a new secret, and its newest one until `oldUntil`. Throws where it authenticates by a key. */
export function rotated(client: Client, secret: string, oldUntil: number): Client {
  if (client.secrets.length === 0) {
    throw new AppError(
      'invalid_request',
      `The client "${client.clientId}" authenticates by its key and has no secret.`,
    );
  }
  const [newest] = client.secrets;
  const old = newest === undefined ? [] : [{ hash: newest.hash, expiresAt: oldUntil }];
  return { ...client, secrets: [toSecret(secret), ...old] };
}

/**
 * Throws where the given secret is the one that a rotation replaced: the file that gives it is older than the rotation.
 * To obey it would bring back a secret that may have leaked and cut off who uses the new one; to call it unchanged
 * would hide that it ends.
 */
export function assertNotReplaced(
  { clientId, secrets }: Client,
  given: string | undefined,
  now: number,
): void {
  if (given === undefined) return;
  const { expiresAt = null } = findSecret(secrets, given) ?? {};
  if (expiresAt === null) return;
  const end = `${expiresAt > now ? 'ends' : 'ended'} at ${toInstant(expiresAt)}`;
  throw new AppError(
    'conflict',
    `"${clientId}": a rotation replaced this client_secret, which ${end}: ` +
      'give the newer one, or leave client_secret out to keep what is stored.',
  );
}
