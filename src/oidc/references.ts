/** What an artifact stands under: without it, nothing of the artifact counts any more. */
import { FIRST_PARTY_CLIENT } from '../names.ts';
import type { Artifact } from '../storage/port.ts';
import { clientGrantId } from './adapter.ts';
import { artifactId } from './digest.ts';

interface References {
  /** The stored id of a grant. */
  readonly grant: string | null;
  readonly clientId: string | null;
}

const CLIENT = clientGrantId('');

/** The grant or the client of one; neither where it stands by itself, or under the client that is in no store. */
export function referencesOf({ grantId }: Pick<Artifact, 'grantId'>): References {
  if (grantId === undefined) return { grant: null, clientId: null };
  if (!grantId.startsWith(CLIENT)) return { grant: artifactId('Grant', grantId), clientId: null };
  const clientId = grantId.slice(CLIENT.length);
  return { grant: null, clientId: clientId === FIRST_PARTY_CLIENT ? null : clientId };
}
