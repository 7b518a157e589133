/** The store of the signing keys with a record of each change of the set, by this server itself. */
import type { SigningKeyStore } from '../storage/port.ts';
import type { Audit } from './audit.ts';
import { SERVER } from './entry.ts';

export const recordKeyChanges = (store: SigningKeyStore, audit: Pick<Audit, 'note'>): SigningKeyStore => ({
  ...store,
  write: async (expectedVersion, keys) => {
    const isWritten = await store.write(expectedVersion, keys);
    const told = keys.map(({ kid, alg, signsFrom }) => ({ kid, alg, signs_from: signsFrom }));
    if (isWritten) audit.note({ by: SERVER, action: 'keys.change', target: null, details: { keys: told } });
    return isWritten;
  },
});
