/**
 * The key of the audit log's chain: random, made once for an installation, and kept in the store under SECRET_KEY. It
 * stays when SECRET_KEY is replaced, so the records of years go on to verify, and nobody without SECRET_KEY reads it.
 */
import { randomBytes } from 'node:crypto';

import type { SealedSecretStore } from '../storage/port.ts';

/** Under this name it stands in the store, and to this name it is bound. */
export const CHAIN_KEY = 'audit-chain';

const KEY_BYTES = 32;

interface ChainKeyOptions {
  readonly sealedSecrets: SealedSecretStore;
  readonly sealer: {
    seal(plaintext: string, context: string): string;
    open(sealed: string, context: string): string;
  };
}

/** Reads it; on a new store makes it. Of instances that start at once one makes it, and all use that. */
export async function readChainKey(options: ChainKeyOptions): Promise<string> {
  const found = await options.sealedSecrets.find(CHAIN_KEY);
  return found === null ? makeChainKey(options) : openChainKey(found, options.sealer);
}

async function makeChainKey(options: ChainKeyOptions): Promise<string> {
  const { sealedSecrets, sealer } = options;
  const key = randomBytes(KEY_BYTES).toString('base64url');
  const isFirst = await sealedSecrets.replace(CHAIN_KEY, null, sealer.seal(key, CHAIN_KEY));
  return isFirst ? key : readChainKey(options);
}

/** Throws a sentence where it does not open with this SECRET_KEY. */
function openChainKey(sealed: string, { open }: ChainKeyOptions['sealer']): string {
  try {
    return open(sealed, CHAIN_KEY);
  } catch (cause) {
    throw new Error(
      'The key of the audit log in the store does not open with this SECRET_KEY. ' +
        'Start with the SECRET_KEY that this store was made with, or with that one as SECRET_KEY_PREVIOUS where ' +
        'SECRET_KEY is a new one; nothing was changed.',
      { cause },
    );
  }
}
