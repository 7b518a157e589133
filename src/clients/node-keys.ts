/**
 * The keys by which a VPN node authenticates (private_key_jwt), as decisions on its record: one write uses up the code,
 * adds the key and ends the secret, so that no crash and no race leaves a node with half of that.
 */
import { timingSafeEqual } from 'node:crypto';

import type { Client, ClientKey } from '../storage/port.ts';

export const KEY_METHOD = 'private_key_jwt';

/** The present key, and those that end: a node that rotates faster than they end waits. */
export const MAX_KEYS = 5;

/** A key that a node has proven to possess. */
export type NewKey = Pick<ClientKey, 'kid' | 'jwk'>;

/** What became of a key: the client to store, or why nothing changes. */
export type Change<Reason extends string> =
  | { readonly kind: 'changed'; readonly client: Client }
  /** It was done already: an answer got lost, and the node asks again. */
  | { readonly kind: 'done' }
  | { readonly kind: Reason };

/** Those that are good now, the newest first. */
export const liveKeys = ({ keys = [] }: Pick<Client, 'keys'>, now: number): readonly ClientKey[] =>
  keys.filter(({ expiresAt }) => expiresAt === null || expiresAt > now);

/** The client with a code, which takes the place of an earlier one. */
export const offered = (client: Client, hash: string, expiresAt: number): Client => ({
  ...client,
  enrolment: { hash, expiresAt, kid: null },
});

/** The node begins anew: whatever authenticated it before does so no more. */
export function enrolled(client: Client, codeHash: string, key: NewKey, now: number): Change<'refused'> {
  const { enrolment, metadata } = client;
  const isMeant = isSame(enrolment?.hash ?? NO_CODE, codeHash); // always compared: it takes the same time
  if (enrolment === undefined || !isMeant || enrolment.expiresAt <= now) return { kind: 'refused' };
  if (enrolment.kid !== null) {
    const isDone = enrolment.kid === key.kid && liveKeys(client, now)[0]?.kid === key.kid;
    return { kind: isDone ? 'done' : 'refused' };
  }
  return {
    kind: 'changed',
    client: {
      ...client,
      secrets: [],
      metadata: { ...metadata, token_endpoint_auth_method: KEY_METHOD },
      keys: [toKey(key, now)],
      enrolment: { ...enrolment, kid: key.kid },
    },
  };
}

/** No code has this digest. */
const NO_CODE = '-'.repeat(43);

/** Digests, so of one length. */
const isSame = (one: string, other: string): boolean => timingSafeEqual(Buffer.from(one), Buffer.from(other));

/**
 * The client with a new key, at the word of its present one; those before it end after the overlap, or sooner where they
 * do already. One that ends may authenticate until then, but it brings in no other: it may be known to more than the node.
 */
export function succeeded(
  client: Client,
  signerKid: string,
  key: NewKey,
  { now, overlapSeconds }: { readonly now: number; readonly overlapSeconds: number },
): Change<'refused' | 'superseded' | 'reused' | 'full'> {
  const live = liveKeys(client, now);
  const [newest] = live;
  if (newest === undefined || !live.some(({ kid }) => kid === signerKid)) return { kind: 'refused' };
  if (newest.kid === key.kid) return { kind: 'done' };
  if (newest.kid !== signerKid) return { kind: 'superseded' };
  if (live.some(({ kid }) => kid === key.kid)) return { kind: 'reused' };
  if (live.length >= MAX_KEYS) return { kind: 'full' };
  const endsAt = now + overlapSeconds;
  const ending = live.map((old) => ({ ...old, expiresAt: Math.min(old.expiresAt ?? endsAt, endsAt) }));
  return {
    kind: 'changed',
    client: { ...client, keys: [toKey(key, now), ...liveKeys({ keys: ending }, now)] },
  };
}

const toKey = ({ kid, jwk }: NewKey, now: number): ClientKey => ({ kid, jwk, addedAt: now, expiresAt: null });

/** The client without these keys, and with `isCodeEnded` without its code. */
export function withoutKeys(client: Client, kids: readonly string[], isCodeEnded: boolean): Client {
  const { keys, enrolment, ...rest } = client;
  return {
    ...rest,
    ...(keys !== undefined && { keys: keys.filter(({ kid }) => !kids.includes(kid)) }),
    ...(enrolment !== undefined && !isCodeEnded && { enrolment }),
  };
}
