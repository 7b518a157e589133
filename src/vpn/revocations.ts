/**
 * Writing down what of VPN JWTs ends before its time: one of them, all of a person, all that a node asked for. A change
 * that ends tokens is made between two entries: the first, so that no crash can lose it, and one more where a token may
 * have been issued after that and before the change.
 */
import type { Revocation, RevocationStore } from '../storage/port.ts';

/**
 * The settings let no VPN JWT live longer. An entry lives as long as the tokens of a lifetime that was shortened since,
 * and a little longer than the most patient clock.
 */
const LONGEST_SECONDS = 86_400 + 120;

/** Whose tokens end: a person's, by username, or all that a node has, its people's included. */
export type Ended = Pick<Revocation, 'subject'> & { readonly kind: 'person' | 'node' };

export interface Revocations {
  /** Ends one JWT. */
  endToken(token: { readonly jti: string; readonly exp: number }): Promise<void>;
  /** Does what ends all tokens of somebody that were issued until it is done. Throws what `work` throws. */
  ending<T>(ended: Ended, work: () => Promise<T>): Promise<T>;
}

interface RevocationsOptions {
  readonly store: Pick<RevocationStore, 'append'>;
  /** An entry is there. */
  readonly onAppended: () => void;
  readonly now: () => number;
}

export function createRevocations({ store, onAppended, now }: RevocationsOptions): Revocations {
  const append = async (revocation: Revocation, at: number): Promise<void> => {
    await store.append(revocation, at);
    onAppended();
  };
  /** `iat` is in whole seconds: what was issued within this one may be older than the change. */
  const end = async (ended: Ended): Promise<number> => {
    const issuedBefore = now() + 1;
    await append({ ...ended, issuedBefore, expiresAt: issuedBefore + LONGEST_SECONDS }, issuedBefore - 1);
    return issuedBefore;
  };

  return {
    endToken: ({ jti, exp }) =>
      append({ kind: 'token', subject: jti, issuedBefore: exp, expiresAt: exp + 120 }, now()),
    ending: async (ended, work) => {
      const issuedBefore = await end(ended);
      const done = await work();
      if (now() >= issuedBefore) await end(ended);
      return done;
    },
  };
}
