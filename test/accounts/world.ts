/**
 * The logic of accounts on a real store of its own, with a clock that a test moves, and with what it told the world:
 * the mails that it queued, the events that it recorded, whose sessions it ended.
 */
import { afterAll, beforeAll } from '@jest/globals';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { createAccounts } from '../../src/accounts/accounts.ts';
import type { Accounts } from '../../src/accounts/accounts.ts';
import { createCredentials } from '../../src/accounts/credentials.ts';
import type { Credentials } from '../../src/accounts/credentials.ts';
import type { AccountEvents } from '../../src/accounts/events.ts';
import { createLockout } from '../../src/accounts/lockout.ts';
import type { Lockout } from '../../src/accounts/lockout.ts';
import { createPasswordHasher } from '../../src/accounts/passwords.ts';
import type { PasswordHasher } from '../../src/accounts/passwords.ts';
import { createRecovery } from '../../src/accounts/recovery.ts';
import type { Recovery } from '../../src/accounts/recovery.ts';
import { createSignIn } from '../../src/accounts/sign-in.ts';
import type { SignInOutcome } from '../../src/accounts/sign-in.ts';
import { untilAvailable } from '../../src/background.ts';
import type { Mail } from '../../src/mail/mailer.ts';
import { createNameSide } from '../../src/names.ts';
import { openStorage } from '../../src/storage/open.ts';
import type { Account, Storage } from '../../src/storage/port.ts';
import { withLatency } from '../support/latency.ts';
import { dropDatabase, testConfig } from '../support/server.ts';
import type { StoreKind } from '../support/server.ts';

export const ISSUER = 'https://id.example.com';
export const PASSWORD = 'correct horse battery stapler';
export const NEXT_PASSWORD = 'a walk along the river bank';
export const IP = '192.0.2.7';

interface Told {
  readonly event: keyof AccountEvents;
  readonly details: object;
}

type SignInAs = (login: string, password: string, device?: string | null) => Promise<SignInOutcome>;

export interface World {
  readonly storage: Storage;
  readonly hasher: PasswordHasher;
  readonly lockout: Lockout;
  readonly accounts: Accounts;
  readonly credentials: Credentials;
  readonly recovery: Recovery;
  readonly mails: Mail[];
  readonly told: Told[];
  /** `account session` of each ending: `-` for no session that goes on, `*` for everything. */
  readonly ended: string[];
  now(): number;
  advance(seconds: number): void;
  /** A name that no other test of the store has. */
  newName(): string;
  /** A registered account with PASSWORD. */
  newAccount(name?: string): Promise<Account>;
  readonly signIn: SignInAs;
  /** The same with another hasher, such as one that counts or takes its time. */
  signInWith(hasher: PasswordHasher): SignInAs;
  /** The token of the newest mail's link. */
  lastToken(): string;
}

/** One world for all the facts of a block; the store takes its time where races are looked for. */
export function useWorld(kind: StoreKind): () => World {
  let world: World | null = null;
  let close: (() => Promise<void>) | null = null;
  beforeAll(async () => {
    const folder = mkdtempSync(join(tmpdir(), 'portcullis-accounts-'));
    const { databaseUrl } = testConfig(kind, folder).secrets;
    const storage = await untilAvailable(
      () => openStorage(databaseUrl),
      () => undefined,
      AbortSignal.timeout(30_000),
    );
    world = createWorld(withLatency(storage));
    close = async () => {
      await storage.close();
      if (kind === 'MongoDB') await dropDatabase(databaseUrl);
      rmSync(folder, { recursive: true, force: true });
    };
  });
  afterAll(async () => {
    await close?.();
  });
  return () => {
    if (world === null) throw new Error('the store is not open');
    return world;
  };
}

function createWorld(storage: Storage): World {
  const mails: Mail[] = [];
  const told: Told[] = [];
  const ended: string[] = [];
  let at = 1_800_000_000;
  let names = 0;
  const now = (): number => at;
  const hasher = createPasswordHasher({ maxAtOnce: 2 }); // places for a hundred at once, whatever the machine
  const { counters, oneTimeTokens, apiKeys } = storage;
  const lockout = createLockout({ counters, now });
  const shared = {
    accounts: storage.accounts,
    counters,
    oneTimeTokens,
    apiKeys,
    hasher,
    lockout,
    events: recordInto(told),
    mailer: { send: (mail: Mail): void => void mails.push(mail) },
    issuer: ISSUER,
    product: 'Castle Gate',
    mustProveEmail: false,
    refusalMs: 0,
    now,
    endSessions: async (accountId: string, except: string | null): Promise<void> => {
      ended.push(`${accountId} ${except ?? '-'}`);
    },
    revokeEverything: async (accountId: string): Promise<void> => {
      ended.push(`${accountId} *`);
    },
  };
  const reservedNames = ['portcullis', 'vpn-node'];
  const accounts = createAccounts({
    ...shared,
    names: createNameSide(storage.names, 'account', reservedNames),
    reservedNames,
  });
  const signInWith = (other: PasswordHasher): SignInAs => {
    const { attempt } = createSignIn({ ...shared, hasher: other });
    return (login, password, device = null) =>
      attempt({ login, password, deviceOf: () => device, ip: IP, locale: 'en' });
  };
  const newName = (): string => `user${(names += 1)}`;

  return {
    storage,
    hasher,
    lockout,
    accounts,
    credentials: createCredentials(shared),
    recovery: createRecovery(shared),
    mails,
    told,
    ended,
    now,
    advance: (seconds) => {
      at += seconds;
    },
    newName,
    newAccount: async (name = newName()) => {
      const email = `${name}@example.com`;
      const made = await accounts.register({ username: name, email, password: PASSWORD, fullName: null });
      if (!made.ok) throw new Error(made.reason);
      return made.account;
    },
    signIn: signInWith(hasher),
    signInWith,
    lastToken: () => new URL(mails.at(-1)?.data['link'] ?? ISSUER).searchParams.get('token') ?? '',
  };
}

function recordInto(told: Told[]): AccountEvents {
  const record =
    (event: keyof AccountEvents) =>
    (details: object): void =>
      void told.push({ event, details });
  return {
    signedIn: record('signedIn'),
    signInRefused: record('signInRefused'),
    accountLocked: record('accountLocked'),
    accountRegistered: record('accountRegistered'),
    passwordChanged: record('passwordChanged'),
    emailChanged: record('emailChanged'),
    accountStatusChanged: record('accountStatusChanged'),
    accountDeleted: record('accountDeleted'),
  };
}
