/**
 * The node's own users: made when a person first comes with a VPN JWT, and what they may here is made anew from its claims
 * each time. They are kept in memory and, where there is a file, in that as well.
 */
import { readFileSync, renameSync, writeFileSync } from 'node:fs';

import { z } from 'zod';

import type { Caller } from '../../src/sdk/node/node.ts';

const MAX_USERS = 10_000;

/** What can be done at this node, and the least level for it. */
const RIGHTS = {
  connect: 10,
  'token:get': 30,
  'token:refresh': 30,
  'token:clear': 50,
} as const;

export type Right = keyof typeof RIGHTS;

const Acl = z.array(z.enum(Object.keys(RIGHTS) as [Right, ...Right[]])); // Object.keys loses the names
const User = z.strictObject({
  issuer: z.string(),
  username: z.string(),
  email: z.string().nullable(),
  role: z.string(),
  level: z.number(),
  acl: Acl.readonly(),
  createdAt: z.number(),
  updatedAt: z.number(),
});

export type LocalUser = Readonly<z.infer<typeof User>>;

export interface Users {
  /** The user of a person, as their token has them now. */
  sync(person: Caller): LocalUser;
}

/** The rights of a level. */
export const aclOf = (level: number): readonly Right[] =>
  Object.entries(RIGHTS).flatMap(([right, least]) => (level >= least ? [right as Right] : [])); // as above

/** Opens the users. Throws where the file holds something else. */
export function createUsers(file: string | null, now: () => number): Users {
  const users = new Map((file === null ? [] : load(file)).map((user) => [keyOf(user), user]));
  const keep = (user: LocalUser): void => {
    // A Map keeps the order of insertion: whoever changed longest ago makes room, and comes back as they are.
    users.delete(keyOf(user));
    for (const oldest of users.keys()) {
      if (users.size < MAX_USERS) break;
      users.delete(oldest);
    }
    users.set(keyOf(user), user);
    if (file !== null) save(file, [...users.values()]);
  };

  return {
    sync: ({ issuer, username, email, role, level }) => {
      const known = users.get(keyOf({ issuer, username }));
      const current = { issuer, username, email, role, level, acl: aclOf(level) };
      if (known !== undefined && isSame(known, current)) return known;
      const user = { ...current, createdAt: known?.createdAt ?? now(), updatedAt: now() };
      keep(user);
      return user;
    },
  };
}

/** A test token names its own issuer: whoever it names is never a person of the server's. */
const keyOf = ({ issuer, username }: Pick<LocalUser, 'issuer' | 'username'>): string =>
  JSON.stringify([issuer, username]);

const isSame = (known: LocalUser, { email, role, level, acl }: Omit<LocalUser, 'createdAt' | 'updatedAt'>) =>
  known.email === email && known.role === role && known.level === level && known.acl.join() === acl.join();

function load(file: string): readonly LocalUser[] {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    if (Error.isError(error) && 'code' in error && error.code === 'ENOENT') return [];
    throw error;
  }
  try {
    return z.array(User).parse(JSON.parse(text));
  } catch (cause) {
    throw new TypeError(`${file} holds no users of this node: move it away.`, { cause });
  }
}

/** At once or not at all: a file that is half written would keep the node from starting. */
function save(file: string, users: readonly LocalUser[]): void {
  const written = `${file}.new`;
  writeFileSync(written, JSON.stringify(users, null, 2), { mode: 0o600, flush: true });
  renameSync(written, file);
}
