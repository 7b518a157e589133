/**
 * What each collection holds. An object whose keys are not ours (a payload, a client's metadata) is kept as JSON
 * text: it comes back exactly, whatever its keys are called, and costs no more than a nested document.
 */
import type { AccountStatus, NameKind, OneTimePurpose, RevocationKind } from '../port.ts';

/** `_id` is the artifact's own id. No `consumedAt`: not consumed. */
export interface ArtifactRow {
  readonly _id: string;
  readonly model: string;
  readonly payload: string;
  readonly expiresAt: Date;
  readonly consumedAt?: number;
  readonly grantId?: string;
  readonly accountId?: string;
  readonly uid?: string;
  readonly userCode?: string;
}

/** `record` is the whole Account as JSON; what is searched stands beside it. */
export interface AccountRow {
  readonly _id: string;
  readonly username: string;
  readonly emailKey: string;
  /** At this server. */
  readonly role: string | null;
  readonly status: AccountStatus;
  readonly version: number;
  readonly record: string;
}

/** `_id` is `purpose:accountId`: an account has one a purpose. */
export interface OneTimeTokenRow {
  readonly _id: string;
  readonly purpose: OneTimePurpose;
  readonly accountId: string;
  readonly hash: string;
  readonly email: string;
  readonly expiresAt: Date;
}

/** `record` is the whole Client as JSON; what is searched stands beside it. `foldedId` is the id in lower case. */
export interface ClientRow {
  readonly _id: string;
  readonly foldedId: string;
  readonly isVpnNode: boolean;
  readonly version: number;
  readonly record: string;
}

/** `record` is the whole ResourceServer as JSON. */
export interface ResourceServerRow {
  readonly _id: string;
  readonly audience: string;
  readonly record: string;
}

export interface NameRow {
  readonly _id: string;
  readonly kind: NameKind;
}

/**
 * There is one, so that no reader ever sees half of a key set; `keys` are its SealedKeys as JSON. A set that version
 * 0.1 wrote has no `retired`.
 */
export interface KeySetRow {
  readonly _id: string;
  readonly version: number;
  readonly keys: string;
  readonly retired?: readonly string[];
}

/** `_id` is the secret's name. */
export interface SealedSecretRow {
  readonly _id: string;
  readonly sealed: string;
}

export interface CounterRow {
  readonly _id: string;
  readonly count: number;
  readonly resetsAt: Date;
}

/** `payload` is JSON. `isFailed` tells what `failedAt` does, for the indexes. */
export interface OutboxRow {
  readonly _id: string;
  readonly clientId: string;
  readonly payload: string;
  readonly createdAt: number;
  readonly attempts: number;
  readonly dueAt: number;
  readonly lastError: string | null;
  readonly isFailed: boolean;
  readonly failedAt: number | null;
  readonly expiresAt: Date;
}

/** `record` is the whole ApiKey as JSON, but for `lastUsedAt`, which stands beside it with what is searched. */
export interface ApiKeyRow {
  readonly _id: string;
  readonly accountId: string;
  readonly hashes: readonly string[];
  readonly version: number;
  readonly lastUsedAt: number | null;
  readonly record: string;
}

/** `_id` is the username in lower case, `record` the whole Customer as JSON; what is searched stands beside it. */
export interface CustomerRow {
  readonly _id: string;
  readonly customerType: string;
  readonly account: string | null;
  readonly clientId: string | null;
  readonly version: number;
  readonly record: string;
}

/** `_id` is the cursor. No `behind`: it came with a restore. */
export interface RevocationRow {
  readonly _id: number;
  /** The cursor before it: of all who append behind that one, one succeeds. */
  readonly behind?: number;
  readonly kind: RevocationKind;
  readonly subject: string;
  readonly issuedBefore: number;
  readonly expiresAt: number;
}

/** `_id` is `list:index`. */
export interface TokenStatusRow {
  readonly _id: string;
  readonly list: string;
  readonly index: number;
  readonly jti: string;
  readonly subject: string;
  readonly clientId: string;
  readonly issuedAt: number;
  readonly expiresAt: Date;
}

/** `_id` is the `seq`, `record` the whole AuditRecord as JSON. */
export interface AuditRow {
  readonly _id: number;
  readonly at: number;
  readonly actor: string;
  readonly action: string;
  readonly target: string | null;
  readonly record: string;
}

/** `_id` is `hourAt:series`. */
export interface StatisticsRow {
  readonly _id: string;
  readonly series: string;
  readonly hourAt: number;
  readonly count: number;
  readonly expiresAt: Date;
}

/** There is one while a restore is under way, or after it was cut. */
export interface RestoreRow {
  readonly _id: string;
  readonly owner: string;
  readonly beganAt: number;
}

/** There is one, written by ping(). */
export interface ProbeRow {
  readonly _id: string;
  readonly count: number;
}
