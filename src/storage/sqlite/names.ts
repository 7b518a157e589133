/** The register of names in SQLite. */
import type { NameKind, NameStore } from '../port.ts';
import type { Connection } from './connection.ts';

export const createNameStore = ({ write }: Connection): NameStore => ({
  // The row is the one just written or found, and its kind is CHECKed by the table.
  claim: async (name, kind) => (await write('claimName', name, kind)).row?.['kind'] as NameKind,
});
