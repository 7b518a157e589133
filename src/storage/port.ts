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

/** No operation of a store waits longer than this, in milliseconds: a request that needs two ends within 3 s. */
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
  destroy(model: string, id: string): Promise<void>;
  /** Deletes every artifact under the grant. Idempotent. */
  revokeGrant(grantId: string): Promise<void>;
  /** Deletes every artifact of the account. Idempotent. */
  revokeAccount(accountId: string): Promise<void>;
  /** The live artifacts of one model that an account has, in the order of their ids; at most `limit`. */
  listOfAccount(
    model: string,
    accountId: string,
    limit: number,
    now: number,
  ): Promise<readonly StoredArtifact[]>;
}

export type AccountStatus = 'active' | 'disabled';

/** A person. `id` is the `sub` of tokens: opaque, never given out again. */
export interface Account {
  readonly id: string;
  /** Folded (NFKC, lower case); never changes. */
  readonly username: string;
  readonly email: string;
  /** The folded address, by which it is found: one account an address. */
  readonly emailKey: string;
  readonly isEmailVerified: boolean;
  readonly fullName: string | null;
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
  /** In the order of their usernames; the cursor is the last username. */
  list(page: PageRequest): Promise<Page<Account>>;
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

/** A registered client. `metadata` is RFC 7591's, without id, secret and scope; `version` is as an account's. */
export interface Client {
  readonly clientId: string;
  readonly isVpnNode: boolean;
  readonly secrets: readonly ClientSecret[];
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
  delete(identifier: string): Promise<boolean>;
  list(page: PageRequest): Promise<Page<ResourceServer>>;
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
  readonly createdAt: number;
  /** It is published from `createdAt` and signs from here on. */
  readonly signsFrom: number;
}

export interface KeySet {
  readonly version: number;
  readonly keys: readonly SealedKey[];
}

export interface SigningKeyStore {
  /** Null on a new store. */
  read(): Promise<KeySet | null>;
  /** Replaces the whole set where its version is still `expectedVersion` (0: none yet). True for one caller. */
  write(expectedVersion: number, keys: readonly SealedKey[]): Promise<boolean>;
}

export interface CounterStore {
  /** Adds one within a fixed window that starts at the first hit, atomically; gives the new count and its end. */
  hit(key: string, windowSeconds: number, now: number): Promise<{ count: number; resetsAt: number }>;
  /** The count of a window that is open; null where none is. */
  find(key: string, now: number): Promise<{ count: number; resetsAt: number } | null>;
  /** Forgets the key. Idempotent. */
  clear(key: string): Promise<void>;
}

export interface Storage {
  readonly artifacts: ArtifactStore;
  readonly accounts: AccountStore;
  readonly oneTimeTokens: OneTimeTokenStore;
  readonly clients: ClientStore;
  readonly resourceServers: ResourceServerStore;
  readonly names: NameStore;
  readonly signingKeys: SigningKeyStore;
  readonly counters: CounterStore;
  /** Resolves when the store answers; rejects with AppError('store_unavailable') otherwise. */
  ping(): Promise<void>;
  /** Housekeeping: deletes at most a bounded batch of expired records; tells how many. */
  deleteExpired(now: number): Promise<number>;
  /** Finishes what waits, then lets go of the engine. */
  close(): Promise<void>;
}
