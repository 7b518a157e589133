/**
 * The place of each VPN JWT in a Token Status List (draft-ietf-oauth-status-list). Each process begins lists of its own, of
 * names that nobody guesses, and hands their places out in an order that nobody foresees: so instances need not agree on
 * anything, a restart or a restored backup goes on in another list, and no place is given twice.
 */
import { randomInt } from 'node:crypto';

import type { TokenStatusStore } from '../storage/port.ts';
import type { VpnClaims } from './claims.ts';

/** As many tokens are in a list: 8 KiB before it is compressed, and enough to be lost in (12.1). */
export const LIST_SIZE = 65_536;
// A clock that is behind asks longer.
const PATIENCE_SECONDS = 120;
const MAX_ATTEMPTS = 3;

/** Notes where the status of a token stands, and adds that to its claims. */
export type Place = (claims: VpnClaims) => Promise<VpnClaims>;

interface PlacesOptions {
  readonly store: Pick<TokenStatusStore, 'insert'>;
  /** A name that nobody guesses, and that no other list has. */
  readonly newName: () => string;
  readonly uriOf: (list: string) => string;
  /** How many places a list has; a multiple of 8. */
  readonly size?: number | undefined;
}

interface List {
  readonly name: string;
  /** Gives each place once, in no order; undefined when there is none left. */
  next(): number | undefined;
}

/** Where there are no lists. */
export const placeNowhere: Place = async (claims) => claims;

export function createPlaces({ store, newName, uriOf, size = LIST_SIZE }: PlacesOptions): Place {
  const begin = (): List => beginList(newName(), size);
  let list = begin();
  const take = (): { readonly list: string; readonly index: number } => {
    let index = list.next();
    if (index === undefined) {
      list = begin();
      index = list.next() ?? 0; // it has one at least
    }
    return { list: list.name, index };
  };

  return async (claims) => {
    const { jti, sub: subject, client_id: clientId, iat: issuedAt, exp } = claims;
    const noted = { jti, subject, clientId, issuedAt, expiresAt: exp + PATIENCE_SECONDS };
    for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt += 1) {
      const place = take();
      if (await store.insert({ ...place, ...noted })) {
        return { ...claims, status: { status_list: { idx: place.index, uri: uriOf(place.list) } } };
      }
      // Whoever has the place has the same list, as the copy of a virtual machine that was running has.
      if (list.name === place.list) list = begin();
    }
    throw new Error(`no place in ${MAX_ATTEMPTS} new status lists was free`);
  };
}

/** A list whose places are shuffled as they are taken (Fisher and Yates). */
function beginList(name: string, size: number): List {
  const places = Uint32Array.from({ length: size }, (_, index) => index);
  let left = size;
  return {
    name,
    next: () => {
      if (left === 0) return undefined;
      const at = randomInt(left);
      const index = places[at];
      left -= 1;
      places[at] = places[left] ?? 0;
      return index;
    },
  };
}
