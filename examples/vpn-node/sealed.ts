/**
 * A small list that a browser keeps for the node: sealed by AES-GCM, so that nobody reads or changes it there. The node
 * itself keeps nothing, so there is nothing of it that strangers could fill up.
 */
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';

import { z } from 'zod';

const ALGORITHM = 'aes-256-gcm';
const KEY_BYTES = 32;
const IV_BYTES = 12;
const TAG_BYTES = 16;
/** What browsers keep as one cookie at most; more is none that was sealed here. */
const MAX_LENGTH = 4_096;

export interface SealedListOptions<T> {
  /** What an entry is. */
  readonly entry: z.ZodType<T>;
  /** Which list it is: one is never taken for another. */
  readonly purpose: string;
  /** The oldest entry makes room. */
  readonly maxEntries: number;
  readonly lifetimeSeconds: number;
  readonly now: () => number;
}

export interface SealedList<T> {
  /** The list with one more entry. */
  add(sealed: string, value: T): string;
  /** The entry that fits, and the list without it: the empty text for an empty one. Null where none fits. */
  take(sealed: string, fits: (value: T) => boolean): { readonly value: T; readonly rest: string } | null;
}

/** Makes the sealing, under a key of its own: a restart forgets all. */
export function createSealedList<T>(options: SealedListOptions<T>): SealedList<T> {
  const { entry, purpose, maxEntries, lifetimeSeconds, now } = options;
  const seal = createSeal(purpose);
  const List = z.array(z.object({ value: entry, expiresAt: z.number() }));

  const read = (sealed: string): z.infer<typeof List> => {
    const text = seal.open(sealed);
    return text === null ? [] : List.parse(JSON.parse(text)).filter(({ expiresAt }) => expiresAt > now());
  };
  const write = (list: z.infer<typeof List>): string =>
    list.length === 0 ? '' : seal.close(JSON.stringify(list));

  return {
    add: (sealed, value) =>
      write([...read(sealed), { value, expiresAt: now() + lifetimeSeconds }].slice(-maxEntries)),
    take: (sealed, fits) => {
      const list = read(sealed);
      const found = list.find(({ value }) => fits(value));
      return found === undefined
        ? null
        : { value: found.value, rest: write(list.filter((one) => one !== found)) };
    },
  };
}

function createSeal(purpose: string) {
  const key = randomBytes(KEY_BYTES);
  const about = Buffer.from(purpose);
  return {
    close: (text: string): string => {
      const iv = randomBytes(IV_BYTES);
      const cipher = createCipheriv(ALGORITHM, key, iv, { authTagLength: TAG_BYTES }).setAAD(about);
      const body = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()]);
      return Buffer.concat([iv, cipher.getAuthTag(), body]).toString('base64url');
    },
    /** Null for what was not sealed here. */
    open: (sealed: string): string | null => {
      if (sealed.length > MAX_LENGTH) return null;
      const bytes = Buffer.from(sealed, 'base64url');
      const [iv, rest] = [bytes.subarray(0, IV_BYTES), bytes.subarray(IV_BYTES)];
      if (rest.length <= TAG_BYTES) return null;
      const decipher = createDecipheriv(ALGORITHM, key, iv, { authTagLength: TAG_BYTES }).setAAD(about);
      decipher.setAuthTag(rest.subarray(0, TAG_BYTES));
      try {
        return decipher.update(rest.subarray(TAG_BYTES), undefined, 'utf8') + decipher.final('utf8');
      } catch {
        return null; // changed, of another purpose, or of an earlier start
      }
    },
  };
}
