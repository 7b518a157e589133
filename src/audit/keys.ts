/** The store of the signing keys with a record of each change of the set, by this server itself. */
import type { KeySet, SigningKeyStore } from '../storage/port.ts';
import type { Audit } from './audit.ts';
import { SERVER } from './entry.ts';

type Keys = KeySet['keys'];

export function recordKeyChanges(store: SigningKeyStore, audit: Pick<Audit, 'note'>): SigningKeyStore {
  let last: KeySet | null = null;
  return {
    read: async () => (last = await store.read()),
    write: async (expectedVersion, next) => {
      const before = last?.version === expectedVersion ? last.keys : [];
      const isWritten = await store.write(expectedVersion, next);
      const details = changesBetween(before, next.keys);
      if (isWritten) audit.note({ by: SERVER, action: 'keys.change', target: null, details });
      return isWritten;
    },
  };
}

/** Which keys came, which got their turn, which went. */
function changesBetween(before: Keys, after: Keys) {
  const known = new Map(before.map((key) => [key.kid, key]));
  const told = (keys: Keys) => keys.map(({ kid, alg, signsFrom }) => ({ kid, alg, signs_from: signsFrom }));
  return {
    added: told(after.filter(({ kid }) => !known.has(kid))),
    scheduled: told(
      after.filter(({ kid, signsFrom }) => known.has(kid) && known.get(kid)?.signsFrom !== signsFrom),
    ),
    removed: before.map(({ kid }) => kid).filter((kid) => !after.some((key) => key.kid === kid)),
  };
}
