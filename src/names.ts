/**
 * One register of names: usernames on one side, client ids and audiences on the other, so that a `sub`, a
 * `client_id` and an `aud` never mean two things. Which side comes second is refused, in a race too.
 */
import type { NameKind, NameStore } from './storage/port.ts';

/** Names are compared without regard to case and to Unicode's many spellings of a letter. */
export const foldName = (name: string): string => name.normalize('NFKC').toLowerCase();

/** Makes the claim of one side: true where the name is, from now on, that side's. */
export const createNameClaim =
  (names: NameStore, kind: NameKind) =>
  async (name: string): Promise<boolean> =>
    (await names.claim(foldName(name), kind)) === kind;
