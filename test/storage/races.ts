/**
 * The races that a store settles: each makes something to compete for, has many callers compete for it, and says
 * what a fair outcome is. Run in one process by contract.ts, by race-worker.ts in two.
 */
import { randomUUID } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';

import { isAppError } from '../../src/errors.ts';
import type {
  Account,
  ApiKey,
  AuditRecord,
  Client,
  Customer,
  NameKind,
  OneTimeToken,
  OutboxMessage,
  ResourceServer,
  Revocation,
  Storage,
  TokenStatus,
} from '../../src/storage/port.ts';

export type Outcome = boolean | number | string;

export interface Race {
  /** What it establishes, as a test name. */
  readonly fact: string;
  /** Makes what round `id` is about; what it gives is handed to the callers. */
  readonly prepare?: (storage: Storage, id: string) => Promise<number>;
  readonly compete: (storage: Storage, id: string, caller: number, prepared: number) => Promise<Outcome>;
  /** There is one such thing in a store: rounds cannot overlap. */
  readonly isAlone?: true;
  readonly isFair: (outcomes: readonly Outcome[]) => boolean;
}

const NOW = 1_800_000_000;
const LATER = NOW + 60;
const EPOCH_SECONDS = 10_000;
const MESSAGES = 10;
const FOLLOWED = 10;
const FOLLOW_MS = 10_000;
// A lease that hides what a round took from the rounds after it.
const FOREVER = 100 * NOW;

let epoch = 2 * NOW;

/** A time that no other test uses, for what is found by its time alone. */
export const nextEpoch = (): number => (epoch += EPOCH_SECONDS);

export const RACES = {
  consume: {
    fact: 'gives a consumed artifact to exactly one of twenty callers',
    prepare: async ({ artifacts }, id) => {
      await artifacts.upsert({ model: 'AuthorizationCode', id, payload: {}, expiresAt: LATER });
      return 0;
    },
    compete: ({ artifacts }, id) => artifacts.consume('AuthorizationCode', id, NOW),
    isFair: isOne,
  },
  insert: {
    fact: 'lets exactly one of twenty callers insert an artifact',
    compete: ({ artifacts }, id) =>
      artifacts.insert({ model: 'ReplayDetection', id, payload: {}, expiresAt: LATER }, NOW),
    isFair: isOne,
  },
  insertOverExpired: {
    fact: 'lets exactly one of twenty callers insert over an expired artifact that was consumed',
    prepare: async ({ artifacts }, id) => {
      await artifacts.upsert({ model: 'ReplayDetection', id, payload: {}, expiresAt: NOW });
      await artifacts.consume('ReplayDetection', id, NOW - 1);
      return 0;
    },
    compete: ({ artifacts }, id) =>
      artifacts.insert({ model: 'ReplayDetection', id, payload: {}, expiresAt: LATER }, NOW),
    isFair: isOne,
  },
  claim: {
    fact: 'gives a name that both sides claim to one side, and says so to all twenty callers',
    compete: ({ names }, id, caller) => names.claim(id, caller % 2 === 0 ? 'account' : 'service'),
    isFair: (outcomes) => new Set(outcomes).size === 1 && isNameKind(outcomes[0]),
  },
  writeKeys: {
    fact: 'lets exactly one of twenty callers replace the key set of a version',
    prepare: async ({ signingKeys }) => (await signingKeys.read())?.version ?? 0,
    compete: ({ signingKeys }, id, caller, version) => {
      const key = { kid: `${id}-${caller}`, alg: 'RS256', sealedJwk: '…', createdAt: NOW, signsFrom: NOW };
      return signingKeys.write(version, { keys: [key], retired: [] });
    },
    isAlone: true,
    isFair: isOne,
  },
  createSealedSecret: {
    fact: 'lets exactly one of twenty callers make a sealed secret',
    compete: ({ sealedSecrets }, id, caller) => sealedSecrets.replace(id, null, `by ${caller}`),
    isFair: isOne,
  },
  replaceSealedSecret: {
    fact: 'lets exactly one of twenty callers replace a sealed secret',
    prepare: async ({ sealedSecrets }, id) => {
      await sealedSecrets.replace(id, null, 'first');
      return 0;
    },
    compete: ({ sealedSecrets }, id, caller) => sealedSecrets.replace(id, 'first', `by ${caller}`),
    isFair: isOne,
  },
  replaceResourceServer: {
    fact: 'lets exactly one of twenty callers replace a resource server',
    prepare: async ({ resourceServers }, id) => {
      await resourceServers.put(newResourceServer(id));
      return 0;
    },
    compete: ({ resourceServers }, id, caller) =>
      resourceServers.replace(newResourceServer(id), newResourceServer(id, { sealedSecret: `by ${caller}` })),
    isFair: isOne,
  },
  createCustomer: {
    fact: 'gives the name of a customer to exactly one of twenty callers, whatever the case of its letters',
    compete: ({ customers }, id, caller) =>
      succeeds(customers.create(newCustomer(caller % 2 === 0 ? id : id.toUpperCase()))),
    isFair: isOne,
  },
  tieCustomer: {
    fact: 'lets exactly one of twenty customers be tied to an account',
    compete: ({ customers }, id, caller) =>
      succeeds(customers.create(newCustomer(`${id}-${caller}`, { account: id }))),
    isFair: isOne,
  },
  replaceCustomer: {
    fact: 'lets exactly one of twenty callers replace a version of a customer',
    prepare: async ({ customers }, id) => {
      await customers.create(newCustomer(id));
      return 0;
    },
    compete: ({ customers }, id, caller) =>
      customers.replace(newCustomer(id, { version: 2, company: `by ${caller}` })),
    isFair: isOne,
  },
  createUsername: {
    fact: 'gives a username to exactly one of twenty accounts, and tells the others of the conflict',
    compete: ({ accounts }, id, caller) => {
      const email = `${caller}-${id}@a.example`;
      return succeeds(
        accounts.create(newAccount(`${id}-${caller}`, { username: id, email, emailKey: email })),
      );
    },
    isFair: isOne,
  },
  createEmail: {
    fact: 'gives an address to exactly one of twenty accounts, and tells the others of the conflict',
    compete: ({ accounts }, id, caller) =>
      succeeds(accounts.create(newAccount(`${id}-${caller}`, { email: id, emailKey: id }))),
    isFair: isOne,
  },
  replaceAccount: {
    fact: 'lets exactly one of twenty callers replace a version of an account',
    prepare: async ({ accounts }, id) => {
      await accounts.create(newAccount(id));
      return 0;
    },
    compete: ({ accounts }, id, caller) =>
      accounts.replace(newAccount(id, { version: 2, fullName: `by ${caller}` })),
    isFair: isOne,
  },
  changeEmail: {
    fact: 'gives an address to exactly one of two accounts that change to it, each in ten callers',
    prepare: async ({ accounts }, id) => {
      await Promise.all([accounts.create(newAccount(`${id}-0`)), accounts.create(newAccount(`${id}-1`))]);
      return 0;
    },
    compete: async ({ accounts }, id, caller) => {
      const changed = newAccount(`${id}-${caller % 2}`, { version: 2, email: id, emailKey: id });
      try {
        return await accounts.replace(changed);
      } catch (error) {
        if (!isAppError(error, 'conflict')) throw error;
        return false;
      }
    },
    isFair: isOne,
  },
  consumeOneTimeToken: {
    fact: 'gives a one-time token to exactly one of twenty callers',
    prepare: async ({ oneTimeTokens }, id) => {
      await oneTimeTokens.put(newOneTimeToken(id, { hash: id }));
      return 0;
    },
    compete: async ({ oneTimeTokens }, id) =>
      (await oneTimeTokens.consume('reset-password', id, NOW))?.accountId === id,
    isFair: isOne,
  },
  createClient: {
    fact: 'lets exactly one of twenty callers create a client, and tells the others of the conflict',
    compete: ({ clients }, id) => succeeds(clients.create(newClient(id))),
    isFair: isOne,
  },
  spellClient: {
    fact: 'lets one of twenty callers create a client whose ids differ in upper and lower case only',
    compete: ({ clients }, id, caller) =>
      succeeds(clients.create(newClient(caller % 2 === 0 ? `Node ${id}` : `nODE ${id}`))),
    isFair: isOne,
  },
  replaceClient: {
    fact: 'lets exactly one of twenty callers replace a version of a client',
    prepare: async ({ clients }, id) => {
      await clients.create(newClient(id));
      return 0;
    },
    compete: ({ clients }, id, caller) =>
      clients.replace({ ...newClient(id), version: 2, metadata: { client_name: `by ${caller}` } }),
    isFair: isOne,
  },
  takeAudience: {
    fact: 'gives an audience to exactly one of twenty resource servers',
    compete: ({ resourceServers }, id, caller) =>
      succeeds(
        resourceServers.put({
          identifier: `https://${id}.example/${caller}`,
          audience: id,
          signingAlg: 'RS256',
          sealedSecret: null,
          scopes: [],
          accessTokenLifetime: 3600,
          roles: {},
          defaultRole: null,
        }),
      ),
    isFair: isOne,
  },
  hit: {
    fact: 'counts twenty simultaneous hits from one to twenty',
    compete: async ({ counters }, id) => (await counters.hit(id, 60, NOW)).count,
    isFair: (outcomes) =>
      outcomes.toSorted((a, b) => Number(a) - Number(b)).every((count, n) => count === n + 1),
  },
  takeMessage: {
    fact: 'gives each of ten due messages to exactly one of twenty callers',
    prepare: async ({ outbox }, id) => {
      const now = nextEpoch();
      await outbox.put(Array.from({ length: MESSAGES }, (_, n) => newMessage(now, { id: `${id}-${n}` })));
      return now;
    },
    compete: async ({ outbox }, _, __, now) =>
      (await outbox.take(1, FOREVER, now)).map(({ id }) => id).join(),
    isAlone: true,
    isFair: (outcomes) => {
      const taken = outcomes.filter((outcome) => outcome !== '');
      return taken.length === MESSAGES && new Set(taken).size === MESSAGES;
    },
  },
  takeMessages: {
    fact: 'gives no message to two of twenty callers who take as many as there are',
    prepare: async ({ outbox }, id) => {
      const now = nextEpoch();
      await outbox.put(Array.from({ length: MESSAGES }, (_, n) => newMessage(now, { id: `${id}-${n}` })));
      return now;
    },
    compete: async ({ outbox }, _, __, now) =>
      (await outbox.take(MESSAGES, FOREVER, now)).map(({ id }) => id).join(),
    isAlone: true,
    isFair: (outcomes) => {
      const taken = outcomes.flatMap((outcome) => (outcome === '' ? [] : String(outcome).split(',')));
      return taken.length === MESSAGES && new Set(taken).size === MESSAGES;
    },
  },
  deleteMessage: {
    fact: 'lets exactly one of twenty callers delete a message',
    prepare: async ({ outbox }, id) => {
      await outbox.put([newMessage(NOW, { id })]);
      return 0;
    },
    compete: ({ outbox }, id) => outbox.delete(id),
    isFair: isOne,
  },
  createApiKey: {
    fact: 'gives a secret to exactly one of twenty API keys, and tells the others of the conflict',
    compete: ({ apiKeys }, id, caller) => {
      const secrets = [randomUUID(), id].map((hash) => ({ hash, expiresAt: null }));
      return succeeds(apiKeys.create(newApiKey(`${id}-${caller}`, { secrets })));
    },
    isFair: isOne,
  },
  replaceApiKey: {
    fact: 'lets exactly one of twenty callers replace a version of an API key',
    prepare: async ({ apiKeys }, id) => {
      await apiKeys.create(newApiKey(id));
      return 0;
    },
    compete: ({ apiKeys }, id, caller) =>
      apiKeys.replace(newApiKey(id, { version: 2, name: `by ${caller}` })),
    isFair: isOne,
  },
  appendAudit: {
    fact: 'lets exactly one of twenty callers append the audit record of a number',
    prepare: async ({ audit }) => ((await audit.last())?.seq ?? 0) + 1,
    compete: ({ audit }, _, caller, seq) => audit.append(newAuditRecord(seq, { actor: `caller ${caller}` })),
    isAlone: true,
    isFair: isOne,
  },
  takePlace: {
    fact: 'gives a place of a status list to exactly one of twenty tokens',
    compete: ({ tokenStatuses }, list) => tokenStatuses.insert(newTokenStatus({ list, index: 7 })),
    isFair: isOne,
  },
  addStatistics: {
    fact: 'counts what twenty callers add to a series at once',
    prepare: async () => nextEpoch(),
    compete: async ({ statistics }, series, _, hourAt) => {
      await statistics.add([{ series, hourAt, count: 1 }], hourAt + 60);
      return (await statistics.read(hourAt))[0]?.count ?? 0;
    },
    isAlone: true,
    isFair: (outcomes) => Math.max(...outcomes.map(Number)) === outcomes.length && !outcomes.includes(0),
  },
  appendRevocation: {
    fact: 'lets ten readers miss none of the revocations that ten callers append at once, nor see another order',
    prepare: ({ revocations }, id) => revocations.append(newRevocation(id), NOW),
    compete: async ({ revocations }, id, caller, begin) => {
      if (caller % 2 === 1) return follow(revocations, id, begin);
      const cursor = await revocations.append(newRevocation(`${id}-${caller}`), NOW + (caller % 3));
      const [own] = await revocations.list(cursor - 1, 1, NOW);
      return own?.subject === `${id}-${caller}`;
    },
    isFair: (outcomes) => {
      const seen = outcomes.filter((_, caller) => caller % 2 === 1).map(String);
      const own = outcomes.filter((_, caller) => caller % 2 === 0);
      return own.every((it) => it === true) && new Set(seen).size === 1 && wordsOf(seen[0]) === FOLLOWED;
    },
  },
} as const satisfies Readonly<Record<string, Race>>;

export type RaceName = keyof typeof RACES;

export const newRevocation = (subject: string, fields: Partial<Revocation> = {}): Revocation => ({
  ...{ kind: 'person', subject, issuedBefore: NOW, expiresAt: LATER },
  ...fields,
});

/** A place in a list of its own, of a token that was issued now. */
export const newTokenStatus = (fields: Partial<TokenStatus> = {}): TokenStatus => ({
  ...{ list: randomUUID(), index: 0, jti: randomUUID(), subject: 'ada', clientId: 'berlin' },
  ...{ issuedAt: NOW, expiresAt: LATER },
  ...fields,
});

export const newResourceServer = (id: string, fields: Partial<ResourceServer> = {}): ResourceServer => ({
  identifier: `https://${id}.example/`,
  audience: id,
  signingAlg: 'RS256',
  sealedSecret: null,
  scopes: ['read'],
  accessTokenLifetime: 3600,
  roles: { basic: 10, 'a.b': 20, $admin: 50, 7: 7 },
  defaultRole: 'basic',
  ...fields,
});

export const newCustomer = (username: string, fields: Partial<Customer> = {}): Customer => ({
  ...{ username, customerType: 'free', email: null, company: null, subscriptionTier: null, metadata: {} },
  ...{ account: null, clientId: null, series: 'one', createdAt: NOW, updatedAt: NOW, version: 1 },
  ...fields,
});

export function newClient(clientId: string): Client {
  return {
    clientId,
    isVpnNode: false,
    secrets: [],
    scopes: [],
    metadata: {},
    createdAt: NOW,
    updatedAt: NOW,
    version: 1,
  };
}

/** An account whose username and address are made of its id. */
export function newAccount(id: string, fields: Partial<Account> = {}): Account {
  return {
    id,
    username: `user-${id}`,
    email: `${id}@Example.com`,
    emailKey: `${id}@example.com`,
    isEmailVerified: false,
    fullName: null,
    passwordHash: null,
    passwordHistory: [],
    passwordChangedAt: null,
    roles: {},
    status: 'active',
    createdAt: NOW,
    updatedAt: NOW,
    version: 1,
    ...fields,
  };
}

export function newOneTimeToken(accountId: string, fields: Partial<OneTimeToken> = {}): OneTimeToken {
  return {
    purpose: 'reset-password',
    accountId,
    hash: randomUUID(),
    email: `${accountId}@example.com`,
    expiresAt: LATER,
    ...fields,
  };
}

/** A message that is due now and expires a little later, long before the next epoch. */
export function newMessage(now: number, fields: Partial<OutboxMessage> = {}): OutboxMessage {
  return {
    id: randomUUID(),
    clientId: 'client',
    payload: { url: 'https://rp.example/logout' },
    createdAt: now,
    attempts: 0,
    dueAt: now,
    lastError: null,
    failedAt: null,
    expiresAt: now + 1_000,
    ...fields,
  };
}

/** A key of an account of its own, with one secret. */
export function newApiKey(id: string, fields: Partial<ApiKey> = {}): ApiKey {
  return {
    id,
    accountId: `account-${id}`,
    name: 'key',
    secrets: [{ hash: `hash-${id}`, expiresAt: null }],
    scopes: [],
    rateLimit: null,
    createdAt: NOW,
    expiresAt: null,
    lastUsedAt: null,
    version: 1,
    ...fields,
  };
}

export function newAuditRecord(seq: number, fields: Partial<AuditRecord> = {}): AuditRecord {
  return {
    seq,
    at: NOW,
    actor: 'cli',
    action: 'test.run',
    target: null,
    ip: null,
    requestId: null,
    details: {},
    previousHash: `hash-${seq - 1}`,
    hash: `hash-${seq}`,
    ...fields,
  };
}

/** False for a conflict; anything else that went wrong stays an error. */
async function succeeds(write: Promise<void>): Promise<boolean> {
  try {
    await write;
    return true;
  } catch (error) {
    if (!isAppError(error, 'conflict')) throw error;
    return false;
  }
}

function isOne(outcomes: readonly Outcome[]): boolean {
  return outcomes.filter((outcome) => outcome === true).length === 1;
}

const wordsOf = (text = ''): number => new Set(text.split(' ')).size;

/** Reads on from a cursor, as whoever follows the feed does, until all that the other callers append was there. */
async function follow(revocations: Storage['revocations'], id: string, begin: number): Promise<string> {
  const seen: string[] = [];
  const giveUpAt = performance.now() + FOLLOW_MS;
  let cursor = begin;
  while (seen.length < FOLLOWED && performance.now() < giveUpAt) {
    const page = await revocations.list(cursor, 3, NOW);
    cursor = page.at(-1)?.cursor ?? cursor;
    seen.push(...page.filter(({ subject }) => subject.startsWith(id)).map(({ subject }) => subject));
    await setImmediate();
  }
  return seen.join(' ');
}

function isNameKind(outcome: Outcome | undefined): outcome is NameKind {
  return outcome === 'account' || outcome === 'service';
}
