/**
 * A set of very many ids in little memory: of each it keeps 64 bits of a digest, in a table of numbers, 8 to 32 bytes an
 * id however long that is. Two ids are taken for one with a chance of one in a hundred thousand where there are ten
 * million of them.
 */
import { hash } from 'node:crypto';

const FIRST_SLOTS = 1_024;

export interface IdSet {
  add(id: string): void;
  has(id: string): boolean;
  /** How many of these are not in the other set. */
  countMissing(other: IdSet): number;
  hasDigest(digest: bigint): boolean;
}

export function createIdSet(): IdSet {
  let slots = new BigUint64Array(FIRST_SLOTS); // 0: free
  let count = 0;

  const slotOf = (digest: bigint): number => {
    const mask = slots.length - 1;
    let slot = Number(digest & BigInt(mask));
    while (slots[slot] !== 0n && slots[slot] !== digest) slot = (slot + 1) & mask;
    return slot;
  };
  const put = (digest: bigint): void => {
    const slot = slotOf(digest);
    if (slots[slot] === 0n) count += 1;
    slots[slot] = digest;
  };
  const grow = (): void => {
    const old = slots;
    slots = new BigUint64Array(2 * old.length);
    count = 0;
    for (const digest of old) if (digest !== 0n) put(digest);
  };
  const hasDigest = (digest: bigint): boolean => slots[slotOf(digest)] === digest;

  return {
    hasDigest,
    add: (id) => {
      if (2 * count >= slots.length) grow();
      put(digestOf(id));
    },
    has: (id) => hasDigest(digestOf(id)),
    countMissing: (other) =>
      slots.reduce((missing, digest) => missing + Number(digest !== 0n && !other.hasDigest(digest)), 0),
  };
}

/** Never 0. */
const digestOf = (id: string): bigint => hash('sha256', id, 'buffer').readBigUInt64LE() | 1n;
