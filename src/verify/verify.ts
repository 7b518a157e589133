/**
 * Decides for a gateway whether a request may pass: finds what its credential stands for, and compares it with what
 * the gateway requires. Roles are read at each request, so that a change counts at once.
 */
import { AppError } from '../errors.ts';
import type { Account } from '../storage/port.ts';

/** What a gateway asks for. */
export interface Requirement {
  /** Left out: this server's own, whose tokens are those of the JSON API. */
  readonly audience: string | undefined;
  /** All of them are needed. */
  readonly scopes: readonly string[];
  /** Any of them will do; none are required where there are none. */
  readonly roles: readonly string[];
}

/** A customer, and what it may do at this moment. */
export interface EntitledCustomer {
  readonly username: string;
  readonly type: string;
  /** Requests an hour. */
  readonly rateLimit: number;
  readonly apiAccessLevel: string;
}

/** A live access token. */
export interface FoundToken {
  readonly subject: string;
  /** Null for the token of a customer, which no client asked for. */
  readonly clientId: string | null;
  readonly scopes: readonly string[];
  /** Null: for nobody in particular, such as one for userinfo alone. */
  readonly audience: string | null;
  /** Null where a client calls for itself. */
  readonly account: Account | null;
  /** Whose token it is, or whom its scope `customer` tells of; null for most. */
  readonly customer: EntitledCustomer | null;
}

/** A live API key. It has no audience of its own: its owner may use it wherever they have a role. */
export interface FoundKey {
  /** Its owner, who may be used now. */
  readonly account: Account;
  readonly scopes: readonly string[];
}

/** Who calls, as the gateway tells it on. */
export interface Verified {
  readonly subject: string;
  readonly username: string | null;
  readonly role: string | null;
  readonly scopes: readonly string[];
  readonly clientId: string | null;
  readonly audience: string | null;
  readonly customer: EntitledCustomer | null;
}

export interface VerifyOptions {
  /** The audience of this server itself. */
  readonly ownAudience: string;
  readonly findToken: (value: string) => Promise<FoundToken | null>;
  readonly findApiKey: (value: string) => Promise<FoundKey | null>;
  /** The role of an account at an audience; null where it has none there. */
  readonly roleAt: (audience: string, account: Account) => Promise<string | null>;
}

export interface Credential {
  readonly value: string;
  readonly isKey: boolean;
}

export type Verify = (credential: Credential, requirement: Requirement) => Promise<Verified>;

/** Throws `invalid_token`, `insufficient_scope` or `forbidden`. */
export function createVerify(options: VerifyOptions): Verify {
  return async (credential, requirement) => {
    const verified = credential.isKey
      ? await verifyKey(credential.value, requirement, options)
      : await verifyToken(credential.value, requirement, options);
    if (verified === null) {
      throw new AppError('invalid_token', 'This token is unknown, over, or for another audience.');
    }
    assertSuffices(verified, requirement);
    return verified;
  };
}

async function verifyToken(
  value: string,
  { audience: asked }: Requirement,
  { ownAudience, findToken, roleAt }: VerifyOptions,
): Promise<Verified | null> {
  const found = await findToken(value);
  if (found === null) return null;
  const { subject, clientId, scopes, audience, account, customer } = found;
  // A token without an audience is good where none is asked for: it has no role, so it opens nothing that needs one.
  if (audience === null ? asked !== undefined : audience !== (asked ?? ownAudience)) return null;
  const role = audience === null || account === null ? null : await roleAt(audience, account);
  return { subject, username: account?.username ?? null, role, scopes, clientId, audience, customer };
}

async function verifyKey(
  value: string,
  { audience: asked }: Requirement,
  { ownAudience, findApiKey, roleAt }: VerifyOptions,
): Promise<Verified | null> {
  const found = await findApiKey(value);
  if (found === null) return null;
  const { account, scopes } = found;
  const audience = asked ?? ownAudience;
  const role = await roleAt(audience, account);
  const caller = { subject: account.id, username: account.username };
  return { ...caller, role, scopes, clientId: null, audience, customer: null };
}

function assertSuffices({ scopes, role }: Verified, requirement: Requirement): void {
  const { roles } = requirement;
  const missing = requirement.scopes.filter((scope) => !scopes.includes(scope));
  if (missing.length > 0)
    throw new AppError('insufficient_scope', `This needs the scope ${missing.join(' ')}.`);
  if (roles.length > 0 && (role === null || !roles.includes(role))) {
    throw new AppError('forbidden', `This needs the role ${roles.join(' or ')}.`);
  }
}
