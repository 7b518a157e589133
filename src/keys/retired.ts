/**
 * How the set remembers a key that was in it: by its kid, and by its RFC 7638 thumbprint as `sha256:…`, so that it
 * comes back under no other name. No kid has a colon; a kid that is the thumbprint says both.
 */
import type { JWK } from 'jose';

import { thumbprintOf } from './material.ts';

/** What is put into the list when a key goes. */
export function marksOf(jwk: JWK): readonly string[] {
  const thumbprint = thumbprintOf(jwk);
  const { kid = thumbprint } = jwk;
  return kid === thumbprint ? [kid] : [kid, markOf(thumbprint)];
}

/** Whether the key itself was retired, under whatever name. */
export function isRetiredKey(retired: readonly string[], jwk: JWK): boolean {
  const thumbprint = thumbprintOf(jwk);
  return retired.includes(thumbprint) || retired.includes(markOf(thumbprint));
}

const markOf = (thumbprint: string): string => `sha256:${thumbprint}`;
