/**
 * Who calls the JSON API: a person by a token of this API, whoever holds an API key, or a client by a token of its
 * own. What they may is read at each request, so that a change counts at once. No cookie is looked at.
 */
import type { Context } from 'koa';

import { AppError } from '../errors.ts';
import { getBearer } from '../http/bearer.ts';
import { isAdministrative, PERMISSIONS } from '../permissions.ts';
import type { Account } from '../storage/port.ts';

/** How an API key begins: it is looked for as nothing else. */
const KEY_PREFIX = 'pcl_';
const MAX_KEY_CHARACTERS = 256;
/** What a client's own token needs here. */
const CLIENT_SCOPE = 'admin';

interface Calling {
  readonly scopes: readonly string[];
  /** What they may now: see `permissions.ts`. */
  readonly permissions: readonly string[];
}

interface WithAccount extends Calling {
  readonly account: Account;
  /** At this server. */
  readonly role: string;
}

export interface PersonCaller extends WithAccount {
  readonly kind: 'person';
  readonly sessionId: string;
}

export interface KeyCaller extends WithAccount {
  readonly kind: 'api-key';
  readonly keyId: string;
  /** Requests an hour; null: as its owner has. */
  readonly rateLimit: number | null;
  /** False: its requests count as its owner's, too. */
  readonly countsAlone: boolean;
}

/** A client that acts for a service account. */
export interface ServiceCaller extends WithAccount {
  readonly kind: 'service-account';
  readonly clientId: string;
}

/** A client that administers. */
export interface ClientCaller extends Calling {
  readonly kind: 'client';
  readonly clientId: string;
}

export type Caller = PersonCaller | KeyCaller | ServiceCaller | ClientCaller;

/** Who asks for a change, as far as its record tells it. */
export interface Asking {
  readonly caller: Caller;
  readonly visit: { readonly ip: string };
  readonly requestId: string;
}

/** Who asks, as in the audit log. */
export const actorOf = (caller: Caller): string =>
  caller.kind === 'client' ? `client:${caller.clientId}` : `account:${caller.account.id}`;

/** A key that is good now, and whose owner is; `scopes` are what both may. */
export type FoundKey = Pick<KeyCaller, 'account' | 'keyId' | 'scopes' | 'rateLimit' | 'countsAlone'>;

export interface AuthenticateOptions {
  readonly findPersonToken: (
    value: string,
  ) => Promise<{ accountId: string; sessionUid: string; scopes: readonly string[] } | null>;
  readonly findApiKey: (value: string) => Promise<FoundKey | null>;
  readonly findClientToken: (
    value: string,
  ) => Promise<{ clientId: string; scopes: readonly string[] } | null>;
  /** The account that a client acts for; null for most clients. */
  readonly findServiceAccount: (clientId: string) => Promise<Account | null>;
  readonly findAccount: (accountId: string) => Promise<Account | null>;
  readonly roleOf: (account: Account) => string;
  readonly permissionsOf: (account: Account) => readonly string[];
}

export type Authenticate = (ctx: Context) => Promise<Caller>;

/** Throws `unauthenticated` for no credentials, `invalid_token` for bad ones, `invalid_request` for too many. */
export function createAuthenticate(options: AuthenticateOptions): Authenticate {
  return async (ctx) => {
    const { value, isKey } = credentialOf(ctx);
    const caller = isKey ? await findKeyCaller(value, options) : await findTokenCaller(value, options);
    if (caller !== null) return caller;
    throw new AppError('invalid_token', `This ${isKey ? 'API key' : 'access token'} is unknown or over.`);
  };
}

/** The token or API key of a request; one, and in one header. */
export function credentialOf(ctx: Context): { readonly value: string; readonly isKey: boolean } {
  const given = countOf(ctx, 'authorization') + countOf(ctx, 'x-api-key');
  if (given > 1) {
    throw new AppError('invalid_request', 'Send one Authorization header, or one X-API-Key, and not both.');
  }
  if (given === 0) {
    throw new AppError(
      'unauthenticated',
      'Sign in, and send the access token as: Authorization: Bearer TOKEN.',
    );
  }
  const key = ctx.get('X-API-Key');
  if (key !== '') return { value: key.slice(0, MAX_KEY_CHARACTERS), isKey: true };
  const value = getBearer(ctx);
  return { value, isKey: value.startsWith(KEY_PREFIX) };
}

/** Node keeps the first of several Authorization headers; a proxy in front may have looked at another one. */
const countOf = ({ req: { rawHeaders } }: Context, name: string): number =>
  rawHeaders.filter((header, index) => index % 2 === 0 && header.toLowerCase() === name).length;

async function findTokenCaller(value: string, options: AuthenticateOptions): Promise<Caller | null> {
  const person = await options.findPersonToken(value);
  if (person === null) return findClientCaller(value, options);
  const { sessionUid: sessionId, scopes } = person;
  const owner = await findOwner(person.accountId, options);
  return owner && { kind: 'person', ...owner, sessionId, scopes };
}

async function findClientCaller(
  value: string,
  options: AuthenticateOptions,
): Promise<ClientCaller | ServiceCaller | null> {
  const found = await options.findClientToken(value);
  if (found === null) return null;
  const { clientId, scopes } = found;
  if (scopes.includes(CLIENT_SCOPE)) {
    return { kind: 'client', clientId, scopes, permissions: PERMISSIONS.filter(isAdministrative) };
  }
  const owner = toOwner(await options.findServiceAccount(clientId), options);
  return owner && { kind: 'service-account', ...owner, clientId, scopes };
}

async function findKeyCaller(value: string, options: AuthenticateOptions): Promise<KeyCaller | null> {
  const found = await options.findApiKey(value);
  if (found === null) return null;
  const { account, keyId, scopes, rateLimit, countsAlone } = found;
  const role = options.roleOf(account);
  return { kind: 'api-key', account, role, keyId, scopes, permissions: scopes, rateLimit, countsAlone };
}

const findOwner = async (accountId: string, options: AuthenticateOptions) =>
  toOwner(await options.findAccount(accountId), options);

function toOwner(
  account: Account | null,
  { roleOf, permissionsOf }: AuthenticateOptions,
): Pick<WithAccount, 'account' | 'role' | 'permissions'> | null {
  return account?.status === 'active'
    ? { account, role: roleOf(account), permissions: permissionsOf(account) }
    : null;
}
