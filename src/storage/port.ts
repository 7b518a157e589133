/**
 * The storage port: every entity that is stored, and what a store must promise, on one page.
 *
 * Times are Unix seconds and arguments: a driver has no clock. `find…` gives null for what is absent or
 * expired: an expired record is never returned, whether or not it was deleted yet. A race is settled by the
 * driver and told as a boolean: true for exactly one caller, whatever the concurrency and the number of
 * processes. When a promise resolves, what it wrote survives the death of the process and, where the store
 * has replicas, of its primary. A store that cannot answer rejects with AppError('store_unavailable') within
 * STORE_TIMEOUT_MS, and never answers null or false for that reason. `delete` tells whether it was there. Lists
 * are paged by cursor, in the order of their ids where nothing else is said.
 */

/** No operation of a store waits longer where nothing else is said: a request that needs two ends within 3 s. */
export const STORE_TIMEOUT_MS = 1_400;

/** One record of the protocol engine: a token, code, grant, session (which has the `uid`), interaction, … */
export interface Artifact {
  /** The engine's name of its kind, such as `AuthorizationCode`: it is found as this kind only. */
  readonly model: string;
  /** A digest of the model and the engine's id, unique over all models: a token itself is never stored. */
  readonly id: string;
  readonly payload: Readonly<Record<string, unknown>>;
  readonly expiresAt: number;
  readonly grantId?: string;
  /** Whose it is, where it is a person's. */
  readonly accountId?: string;
  readonly uid?: string;
  readonly userCode?: string;
}

/** An artifact as it is found: `consumedAt` is null until somebody consumed it. */
export interface StoredArtifact {
  readonly payload: Readonly<Record<string, unknown>>;
  readonly expiresAt: number;
  readonly consumedAt: number | null;
}

export interface ArtifactStore {
  /** Creates or replaces; a consumed artifact stays consumed. */
  upsert(artifact: Artifact): Promise<void>;
  /** Creates unless a live one is there. True for exactly one caller; an expired one counts as absent. */
  insert(artifact: Artifact, now: number): Promise<boolean>;
  find(model: string, id: string, now: number): Promise<StoredArtifact | null>;
  findBy(model: string, key: 'uid' | 'userCode', value: string, now: number): Promise<StoredArtifact | null>;
  /** Marks a live artifact used. True for exactly one caller, ever. */
  consume(model: string, id: string, now: number): Promise<boolean>;
  /** Moves the end of a live artifact, never to an earlier time; false where it is gone. */
  extend(model: string, id: string, expiresAt: number, now: number): Promise<boolean>;
  destroy(model: string, id: string): Promise<void>;
  /** Deletes every artifact under the grant. Idempotent. */
  revokeGrant(grantId: string): Promise<void>;
  /** Deletes every artifact of the account. Idempotent. */
  revokeAccount(accountId: string): Promise<void>;
  /** The live artifacts of one model that an account has, in the order of their ids; the cursor is the last id. */
  listOfAccount(
    model: string,
    accountId: string,
    page: PageRequest,
    now: number,
  ): Promise<Page<StoredArtifact>>;
  /** How many live ones of a model there are. Quick for sessions; of other models there may be many to look at. */
  count(model: string, now: number): Promise<number>;
}

export type AccountStatus = 'active' | 'disabled';

/** Where somebody is to be reached, as they say it: `phoneNumber` by E.164, `address` in lines. */
export interface Contact {
  readonly phoneNumber: string | null;
  readonly address: string | null;
}

/** A person. `id` is the `sub` of tokens: opaque, never given out again. */
export interface Account {
  readonly id: string;
  /** Folded (NFKC, lower case); never changes. */
  readonly username: string;
  readonly email: string;
  /** The folded address, by which it is found: one account an address. */
  readonly emailKey: string;
  readonly isEmailVerified: boolean;
  /** True where an administrator made the account: it is theirs to say whose it is, proven address or not. */
  readonly isVouchedFor?: boolean;
  readonly fullName: string | null;
  /** Absent where the person said nothing of it. */
  readonly contact?: Contact;
  /** As the hasher writes it; null: nobody can sign in by password yet. */
  readonly passwordHash: string | null;
  /** The hashes before it, newest first, two at most: none of the last three passwords comes back. */
  readonly passwordHistory: readonly string[];
  readonly passwordChangedAt: number | null;
  /** Audience → role; that of this server itself is `portcullis`. */
  readonly roles: Readonly<Record<string, string>>;
  readonly status: AccountStatus;
  readonly createdAt: number;
  readonly updatedAt: number;
  /** 1 when created, one more at each replacement. */
  readonly version: number;
}

export interface AccountStore {
  /** Rejects with AppError('conflict') when one is taken: `errors` has `username` or `email`, or none for the id. */
  create(account: Account): Promise<void>;
  find(id: string): Promise<Account | null>;
  findByUsername(username: string): Promise<Account | null>;
  findByEmail(emailKey: string): Promise<Account | null>;
  /**
   * Replaces the record of version `account.version - 1`; false when it changed meanwhile or is gone. Rejects with
   * AppError('conflict') as `create` does when another account has the address.
   */
  replace(account: Account): Promise<boolean>;
  delete(id: string): Promise<boolean>;
  /** Those that meet the whole filter, in the order of their usernames; the cursor is the last username. */
  list(page: PageRequest, filter?: AccountFilter): Promise<Page<Account>>;
  /** How many there are of each role at this server and status, in no order; none where there is no such account. */
  count(): Promise<readonly AccountCount[]>;
}

export interface AccountCount {
  /** That of the audience `portcullis`; null where an account has none there. */
  readonly role: string | null;
  readonly status: AccountStatus;
  readonly count: number;
}

export interface AccountFilter {
  /** The start of the username or of the folded address: folded, and taken literally whatever it holds. */
  readonly startsWith?: string | undefined;
  readonly status?: AccountStatus | undefined;
  /** The role at this server (`portcullis`). */
  readonly role?: string | undefined;
}

/** What a mailed link stands for. A link of one purpose is never good for another. */
export type OneTimePurpose = 'verify-email' | 'change-email' | 'reset-password';

/** A link of one use; only the digest of its token is kept. An account has one a purpose: the newest. */
export interface OneTimeToken {
  readonly purpose: OneTimePurpose;
  readonly accountId: string;
  /** SHA-256 of the token, base64url. */
  readonly hash: string;
  /** The address that it proves, or was sent to. */
  readonly email: string;
  readonly expiresAt: number;
}

export interface OneTimeTokenStore {
  /** Takes the place of the account's earlier one of that purpose. */
  put(token: OneTimeToken): Promise<void>;
  /** Looks without using it up. */
  find(purpose: OneTimePurpose, hash: string, now: number): Promise<OneTimeToken | null>;
  /** Uses it up: given to exactly one caller, ever. */
  consume(purpose: OneTimePurpose, hash: string, now: number): Promise<OneTimeToken | null>;
  /** Forgets every link of the account. Idempotent. */
  revokeAccount(accountId: string): Promise<void>;
}

/** One secret of a client; only its SHA-256 (base64url) is kept. Null: does not expire. */
export interface ClientSecret {
  readonly hash: string;
  readonly expiresAt: number | null;
}

/** A public key that a client registered by itself. Null: does not expire. */
export interface ClientKey {
  /** Its thumbprint (RFC 7638). */
  readonly kid: string;
  readonly jwk: Readonly<Record<string, string>>;
  readonly addedAt: number;
  readonly expiresAt: number | null;
}

/** A code by which a client registers its first key; only its SHA-256 (base64url) is kept. */
export interface Enrolment {
  readonly hash: string;
  readonly expiresAt: number;
  /** The key that came by it, after which it is good for no other one; null: it was not used. */
  readonly kid: string | null;
}

/** A registered client. `metadata` is RFC 7591's, without id, secret and scope; `version` is as an account's. */
export interface Client {
  readonly clientId: string;
  readonly isVpnNode: boolean;
  readonly secrets: readonly ClientSecret[];
  /** The newest first; absent where it registered none. */
  readonly keys?: readonly ClientKey[];
  /** Absent where nobody made a code. */
  readonly enrolment?: Enrolment;
  readonly scopes: readonly string[];
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly createdAt: number;
  readonly updatedAt: number;
  readonly version: number;
}

export interface Page<T> {
  readonly items: readonly T[];
  /** Give it as `after` to read on; null on the last page. */
  readonly next: string | null;
}

export interface PageRequest {
  readonly after?: string | undefined;
  readonly limit: number;
}

export interface ClientStore {
  /** Rejects with AppError('conflict') when the id is taken, in whatever case: see findSpelling, which gives it. */
  create(client: Client): Promise<void>;
  find(clientId: string): Promise<Client | null>;
  findSpelling(clientId: string): Promise<string | null>;
  /** Replaces the record of version `client.version - 1`; false when it changed meanwhile or is gone. */
  replace(client: Client): Promise<boolean>;
  delete(clientId: string): Promise<boolean>;
  list(page: PageRequest, filter?: { readonly isVpnNode?: boolean }): Promise<Page<Client>>;
}

/** An API that tokens are made for (RFC 8707). `sealedSecret` is for HS256 only, encrypted under SECRET_KEY. */
export interface ResourceServer {
  readonly identifier: string;
  readonly audience: string;
  readonly signingAlg: string;
  readonly sealedSecret: string | null;
  readonly scopes: readonly string[];
  /** Seconds. */
  readonly accessTokenLifetime: number;
  /** Role name → level. */
  readonly roles: Readonly<Record<string, number>>;
  readonly defaultRole: string | null;
}

export interface ResourceServerStore {
  /** Creates or replaces. Rejects with AppError('conflict') when another one has the audience. */
  put(resourceServer: ResourceServer): Promise<void>;
  find(identifier: string): Promise<ResourceServer | null>;
  findByAudience(audience: string): Promise<ResourceServer | null>;
  /**
   * Writes `next`, of the same identifier and audience, in the place of `current`; false when what is there is not
   * exactly that any more.
   */
  replace(current: ResourceServer, next: ResourceServer): Promise<boolean>;
  delete(identifier: string): Promise<boolean>;
  list(page: PageRequest): Promise<Page<ResourceServer>>;
}

/** Secrets that an installation made for itself, by name, each encrypted under SECRET_KEY and bound to its name. */
export interface SealedSecretStore {
  find(name: string): Promise<string | null>;
  /** Writes it where what is there is still `current` (null: nothing). True for one caller. */
  replace(name: string, current: string | null, sealed: string): Promise<boolean>;
}

/**
 * Who may be called what: accounts on one side, services (client ids and audiences) on the other, so that a
 * `sub` never means two things. A name is claimed for ever: it may come back on its own side only.
 */
export type NameKind = 'account' | 'service';

export interface NameStore {
  /** Whose a folded name is; null where nobody claimed it yet. */
  find(name: string): Promise<NameKind | null>;
  /** Claims a folded name and tells whose it is: `kind` itself for the winner and for its own side later. */
  claim(name: string, kind: NameKind): Promise<NameKind>;
}

/** One signing key at rest: the private JWK encrypted under SECRET_KEY, bound to its kid. */
export interface SealedKey {
  readonly kid: string;
  readonly alg: string;
  readonly sealedJwk: string;
  /** It is published from here on. */
  readonly createdAt: number;
  /** It signs from here on, until a later one does; null: it waits for its turn. */
  readonly signsFrom: number | null;
}

export interface KeySet {
  readonly version: number;
  readonly keys: readonly SealedKey[];
  /** The kids of keys that were in the set: none comes back. */
  readonly retired: readonly string[];
}

export interface SigningKeyStore {
  /** Null on a new store. */
  read(): Promise<KeySet | null>;
  /** Replaces the whole set where its version is still `expectedVersion` (0: none yet). True for one caller. */
  write(expectedVersion: number, next: Omit<KeySet, 'version'>): Promise<boolean>;
}

export interface CounterStore {
  /** Adds one within a fixed window that starts at the first hit, atomically; gives the new count and its end. */
  hit(key: string, windowSeconds: number, now: number): Promise<{ count: number; resetsAt: number }>;
  /** The count of a window that is open; null where none is. */
  find(key: string, now: number): Promise<{ count: number; resetsAt: number } | null>;
  /** Forgets the key. Idempotent. */
  clear(key: string): Promise<void>;
}

/** A message that has to reach a client's server: kept until it did, or until it is given up. */
export interface OutboxMessage {
  readonly id: string;
  readonly clientId: string;
  /** What is said of the session that ended; never a token: those are made at each try. */
  readonly payload: Readonly<Record<string, string>>;
  readonly createdAt: number;
  /** How often somebody took it. */
  readonly attempts: number;
  /** Nobody takes it before: the time of the next try, or the end of the lease of the present one. */
  readonly dueAt: number;
  readonly lastError: string | null;
  /** Since when it is given up; null while it is tried. */
  readonly failedAt: number | null;
  /** From then on it may be deleted, delivered or not. */
  readonly expiresAt: number;
}

/** An expired message is never taken or listed. What is never told as delivered is taken again: at least once. */
export interface OutboxStore {
  /**
   * Adds those whose ids are new and leaves the others as they are. A rejection may have added some: put all of
   * them again.
   */
  put(messages: readonly OutboxMessage[]): Promise<void>;
  /**
   * Leases what is due and not given up, what is due longest first, at most `limit`: each message to one caller
   * only. It counts as an attempt, and if nobody deletes or defers it, it is due again at `leaseEndsAt`. Given in
   * the order of `createdAt`.
   */
  take(limit: number, leaseEndsAt: number, now: number): Promise<readonly OutboxMessage[]>;
  /** It was delivered. */
  delete(id: string): Promise<boolean>;
  /** It was not: sets the next try, or `failedAt` where there is none. False when it is gone. */
  defer(id: string, next: Pick<OutboxMessage, 'dueAt' | 'lastError' | 'failedAt'>): Promise<boolean>;
  /** All, or with `isFailed` those that are given up or those that are not. */
  list(
    page: PageRequest,
    now: number,
    filter?: { readonly isFailed?: boolean | undefined },
  ): Promise<Page<OutboxMessage>>;
}

/** One key of an account for the JSON API and for gateways. Of its secrets only digests are kept. */
export interface ApiKey {
  readonly id: string;
  readonly accountId: string;
  readonly name: string;
  readonly secrets: readonly ClientSecret[];
  readonly scopes: readonly string[];
  /** Requests an hour; null: as its owner has. */
  readonly rateLimit: number | null;
  /** True for a rate that its owner set, and no administrator: it raises nothing. */
  readonly isOwnRate?: boolean | undefined;
  readonly createdAt: number;
  readonly expiresAt: number | null;
  readonly lastUsedAt: number | null;
  readonly version: number;
}

export interface ApiKeyStore {
  /** Rejects with AppError('conflict') when the id is taken, or when another key has one of the secrets. */
  create(key: ApiKey): Promise<void>;
  find(id: string): Promise<ApiKey | null>;
  /** By the digest of any of its secrets; whether that secret or the key has expired is for the caller to see. */
  findByHash(hash: string): Promise<ApiKey | null>;
  /**
   * Replaces the record of version `key.version - 1`, but for `lastUsedAt`; false when it changed meanwhile or is
   * gone. Rejects with AppError('conflict') when another key has one of the secrets.
   */
  replace(key: ApiKey): Promise<boolean>;
  /** Notes a use; never moves it back, changes no version, and does not mind a key that is gone. A write a call. */
  touch(id: string, usedAt: number): Promise<void>;
  delete(id: string): Promise<boolean>;
  /** Deletes all of the account's. Idempotent. */
  deleteOfAccount(accountId: string): Promise<void>;
  list(page: PageRequest, filter?: { readonly accountId?: string | undefined }): Promise<Page<ApiKey>>;
  count(): Promise<number>;
}

/** An API consumer, whose tokens tell a gateway what it may do. */
export interface Customer {
  /** As it was written; it is found in any case. */
  readonly username: string;
  readonly customerType: string;
  readonly email: string | null;
  readonly company: string | null;
  readonly subscriptionTier: string | null;
  /** The operator's own: what of it is in a token, `sdk/customers/` says. */
  readonly metadata: Readonly<Record<string, unknown>>;
  /** The username of the account that it is tied to. */
  readonly account: string | null;
  /** The client that it is tied to. */
  readonly clientId: string | null;
  /** Names its tokens that are good: another value ends all that were issued before. See `customers/series.ts`. */
  readonly series: string;
  readonly createdAt: number;
  readonly updatedAt: number;
  /** 1 when created, one more at each replacement. */
  readonly version: number;
}

export interface CustomerStore {
  /**
   * Rejects with AppError('conflict') when the username is taken, in whatever case, or when another customer is tied to
   * the account or the client: `errors` has `username`, `account` or `client`.
   */
  create(customer: Customer): Promise<void>;
  find(username: string): Promise<Customer | null>;
  findByAccount(account: string): Promise<Customer | null>;
  findByClient(clientId: string): Promise<Customer | null>;
  /** Replaces the record of version `customer.version - 1`; false when it changed meanwhile or is gone. Rejects as `create`. */
  replace(customer: Customer): Promise<boolean>;
  delete(username: string): Promise<boolean>;
  /** In the order of the usernames in lower case, which the cursor is one of. */
  list(page: PageRequest, filter?: CustomerFilter): Promise<Page<Customer>>;
}

export interface CustomerFilter {
  readonly customerType?: string | undefined;
  /** The start of the username, in any case; taken literally. */
  readonly startsWith?: string | undefined;
}

/**
 * What ended before its time. Of VPN JWTs: one of them, all of a person, or all that a node asked for; of customers' tokens:
 * one of them, or all of a customer.
 */
export type RevocationKind = 'token' | 'person' | 'node' | 'customer-token' | 'customer';

export interface Revocation {
  readonly kind: RevocationKind;
  /** The `jti`, the username, or the client id. */
  readonly subject: string;
  /** What was issued before this instant ended; of one token, that of its expiry. For a customer: before that series. */
  readonly issuedBefore: number;
  /** From then on all that it names has expired by itself. */
  readonly expiresAt: number;
}

export interface StoredRevocation extends Revocation {
  /** Its place in the order of all; at least the time of its writing in milliseconds. */
  readonly cursor: number;
}

export interface RevocationStore {
  /**
   * Adds it behind all that there are, whoever else adds, and gives its cursor: whoever has read up to any cursor has
   * missed nothing before it. A cursor is never given twice, also where all that was there has been deleted, or a
   * backup of an earlier time took the place of the store. An earlier one of the same kind and subject goes, where this
   * one says all that it says.
   */
  append(revocation: Revocation, now: number): Promise<number>;
  /** Those behind the cursor that have not expired, at most `limit`, in their order; 0 reads from the beginning. */
  list(after: number, limit: number, now: number): Promise<readonly StoredRevocation[]>;
  /** The one that names most: of the latest `issuedBefore`. */
  find(kind: RevocationKind, subject: string, now: number): Promise<Revocation | null>;
}

/** Where the status of a token stands (Token Status List), and what a revocation may name it by. */
export interface TokenStatus {
  readonly list: string;
  readonly index: number;
  readonly jti: string;
  /** The `sub`. */
  readonly subject: string;
  readonly clientId: string;
  readonly issuedAt: number;
  /** From then on nobody asks for it any more. */
  readonly expiresAt: number;
}

/** Places of one list. */
export interface NamedStatuses {
  readonly list: string;
  readonly indexes: readonly number[];
  /** When the last one of them expires. */
  readonly expiresAt: number;
}

export interface TokenStatusStore {
  /** Notes it; false where that place of the list is taken. True for exactly one caller. */
  insert(status: TokenStatus): Promise<boolean>;
  /**
   * The places of the live ones that a revocation names: by their `jti`, or by `subject` or `clientId` and an `issuedAt`
   * that is less than `issuedBefore`. In no order; what two revocations name may come twice. It misses none that was
   * there before the revocation was. Where they name too many for the time that there is, it rejects as unavailable.
   */
  findNamed(
    revocations: readonly Pick<Revocation, 'kind' | 'subject' | 'issuedBefore'>[],
    now: number,
  ): Promise<readonly NamedStatuses[]>;
  /** When the last one of a list expires; null where none is left. */
  findEnd(list: string, now: number): Promise<number | null>;
  /** The lists that have a live one, in their order. */
  lists(now: number): Promise<readonly string[]>;
}

/** An entry of the audit log: who did what to whom. It holds the digest of the one before it: none can be taken out. */
export interface AuditRecord {
  /** 1, 2, 3, … without a gap. */
  readonly seq: number;
  readonly at: number;
  /** Such as `account:ID`, `client:ID`, `cli`, `anonymous`. */
  readonly actor: string;
  /** Such as `account.unlock`. */
  readonly action: string;
  /** Such as `account:ID`; null where the action has no object. */
  readonly target: string | null;
  readonly ip: string | null;
  readonly requestId: string | null;
  /** What changed, before and after, without secrets. */
  readonly details: Readonly<Record<string, unknown>>;
  readonly previousHash: string;
  readonly hash: string;
}

/** All that is given is met. */
export interface AuditFilter {
  readonly actor?: string | undefined;
  readonly action?: string | undefined;
  readonly target?: string | undefined;
  /** `at` is this or later. */
  readonly from?: number | undefined;
  /** `at` is earlier than this. */
  readonly until?: number | undefined;
}

/** A record never expires, and there is no way to change or delete one. */
export interface AuditStore {
  /**
   * Adds it as number `record.seq`, which is one more than that of `last()`; false when that number is taken. True
   * for exactly one caller.
   */
  append(record: AuditRecord): Promise<boolean>;
  /** The one with the highest number; null where there is none yet. */
  last(): Promise<AuditRecord | null>;
  /**
   * Newest first, or oldest first where `order` says so; the cursor is a seq, and one that is no number reads
   * nothing. `from` and `until` rely on the clocks of all who append being within ten minutes of each other.
   */
  list(page: PageRequest, filter?: AuditFilter, order?: 'newest' | 'oldest'): Promise<Page<AuditRecord>>;
}

/** How often something happened in an hour that began at `hourAt`. The set of series is small and ours. */
export interface HourCount {
  readonly series: string;
  readonly hourAt: number;
  readonly count: number;
}

export interface StatisticsStore {
  /**
   * Adds each count to what is there: none is lost or counted twice, whoever else adds. From `expiresAt` on, the
   * latest one given for a series and hour, they may be deleted. A rejection may have added some.
   */
  add(counts: readonly HourCount[], expiresAt: number): Promise<void>;
  /** What is kept of all series of the hours from `fromAt` on, in the order of hour and series. */
  read(fromAt: number): Promise<readonly HourCount[]>;
}

export interface Storage {
  readonly artifacts: ArtifactStore;
  readonly accounts: AccountStore;
  readonly oneTimeTokens: OneTimeTokenStore;
  readonly clients: ClientStore;
  readonly resourceServers: ResourceServerStore;
  readonly names: NameStore;
  readonly signingKeys: SigningKeyStore;
  readonly sealedSecrets: SealedSecretStore;
  readonly counters: CounterStore;
  readonly outbox: OutboxStore;
  readonly apiKeys: ApiKeyStore;
  readonly customers: CustomerStore;
  readonly revocations: RevocationStore;
  readonly tokenStatuses: TokenStatusStore;
  readonly audit: AuditStore;
  readonly statistics: StatisticsStore;
  /** Resolves when the store answers; rejects with AppError('store_unavailable') otherwise. */
  ping(): Promise<void>;
  /** Housekeeping: deletes at most a bounded batch of expired records; tells how many. */
  deleteExpired(now: number): Promise<number>;
  /**
   * All that every store holds at one moment, that of the first batch, in the order of STORE_NAMES; audit records in
   * the order of their numbers, revocations the latest first. What is expired may be among it. It holds a few hundred records at a time, keeps
   * nobody from writing meanwhile, and may be left before its end.
   */
  snapshot(): AsyncIterable<readonly StoredRecord[]>;
  /** Finishes what waits, then lets go of the engine. */
  close(): Promise<void>;
}

/** Every store, those first whose records others refer to. */
export const STORE_NAMES = [
  ...['signingKeys', 'sealedSecrets', 'names', 'accounts', 'clients', 'resourceServers'],
  ...['customers', 'apiKeys', 'oneTimeTokens', 'outbox', 'artifacts', 'counters', 'revocations'],
  ...['tokenStatuses', 'statistics', 'audit'],
] as const satisfies readonly StoreName[];

export type StoreName = {
  [Name in keyof Storage]: Storage[Name] extends (...args: never) => unknown ? never : Name;
}[keyof Storage];

/** What each store holds, in full: whoever has these records can make another store of the same content. */
export interface StoreRecords {
  /** There is one, or none. */
  readonly signingKeys: KeySet;
  readonly sealedSecrets: { readonly name: string; readonly sealed: string };
  readonly names: { readonly name: string; readonly kind: NameKind };
  readonly accounts: Account;
  readonly clients: Client;
  readonly resourceServers: ResourceServer;
  readonly apiKeys: ApiKey;
  readonly customers: Customer;
  readonly oneTimeTokens: OneTimeToken;
  readonly outbox: OutboxMessage;
  readonly artifacts: Artifact & Pick<StoredArtifact, 'consumedAt'>;
  readonly counters: { readonly key: string; readonly count: number; readonly resetsAt: number };
  readonly revocations: StoredRevocation;
  readonly tokenStatuses: TokenStatus;
  readonly statistics: HourCount & { readonly expiresAt: number };
  readonly audit: AuditRecord;
}

/** A record, and whose it is. */
export type StoredRecord = {
  readonly [Name in StoreName]: { readonly store: Name; readonly record: StoreRecords[Name] };
}[StoreName];

/**
 * A store that is to be filled with the records of a snapshot. From `begin` to `finish` it bears a mark, and nothing
 * else opens it: where a restore was cut, half a store is never taken for a whole one.
 */
export interface RestoreTarget {
  /**
   * Takes the store, and deletes what a restore left in it that was cut; 'anew' where it did. Rejects with
   * AppError('conflict') where the store holds anything else.
   */
  begin(now: number): Promise<'empty' | 'anew'>;
  /** Adds the records as they are. Rejects with AppError('conflict') where another restore took the store since. */
  write(records: readonly StoredRecord[]): Promise<void>;
  /** What it holds now, as `Storage.snapshot`. */
  snapshot(): AsyncIterable<readonly StoredRecord[]>;
  /** It is whole: takes the mark away. Rejects as `write`. */
  finish(): Promise<void>;
  /** Lets go; before `finish` the mark stays. */
  close(): Promise<void>;
}

/** What is said of a store that is being filled, or cannot be. */
export const RESTORE_REFUSALS = {
  unfinished:
    'The store is only half restored: a restore into it is under way, or was cut. ' +
    'Run portcullis restore with the backup once more, which begins anew.',
  used:
    'The store holds something already, and a restore needs an empty one: name a new file or database in ' +
    'DATABASE_URL. Nothing was changed.',
  taken: 'Another restore has taken the store since: this one ends here.',
  written:
    'Something else wrote to the store during the restore: stop whatever uses it, and restore once more.',
} as const;
