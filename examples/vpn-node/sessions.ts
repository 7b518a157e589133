/**
 * The sessions at the node: each is a JWT of a person under a key that nobody can guess. They are bounded person by
 * person, so that nobody's session ends because of what others do.
 */
import { randomBytes } from 'node:crypto';

import type { Caller } from '../../src/sdk/node/node.ts';
import { Problem } from '../protected-api/problem.ts';

export interface Sessions {
  /** Opens one and gives its key. Throws a Problem where the node is full: a session that lives never makes room. */
  open(jwt: string, person: Pick<Caller, 'issuer' | 'username'>): string;
  /** The JWT of a session; null where there is none, or none any more. */
  find(key: string): string | null;
  close(key: string): void;
}

export interface SessionOptions {
  /** How many a person has; their own oldest one makes room. */
  readonly maxOfPerson: number;
  readonly maxEntries: number;
  readonly lifetimeSeconds: number;
  readonly now: () => number;
}

export function createSessions({ maxOfPerson, maxEntries, lifetimeSeconds, now }: SessionOptions): Sessions {
  // A Map keeps the order of insertion: the first one of a person is their oldest.
  const entries = new Map<
    string,
    { readonly jwt: string; readonly person: string; readonly expiresAt: number }
  >();

  const makeRoom = (person: string): void => {
    const own: string[] = [];
    for (const [key, entry] of entries) {
      if (entry.expiresAt <= now()) entries.delete(key);
      else if (entry.person === person) own.push(key);
    }
    for (const key of own.slice(0, Math.max(0, own.length - maxOfPerson + 1))) entries.delete(key);
  };

  return {
    open: (jwt, { issuer, username }) => {
      const person = JSON.stringify([issuer, username]);
      makeRoom(person);
      if (entries.size >= maxEntries) {
        throw new Problem(503, 'Too many people are signed in at this node. Try again later.');
      }
      const key = randomBytes(32).toString('base64url');
      entries.set(key, { jwt, person, expiresAt: now() + lifetimeSeconds });
      return key;
    },
    find: (key) => {
      const entry = entries.get(key);
      return entry !== undefined && entry.expiresAt > now() ? entry.jwt : null;
    },
    close: (key) => void entries.delete(key),
  };
}
