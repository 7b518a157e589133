/** Who a VPN JWT speaks for: a person with their role and level, or a node for itself. */
import { invalid } from '../guard/auth.ts';
import type { Claims } from '../guard/auth.ts';
import { GuardError } from '../guard/errors.ts';

/** Of a node that speaks for itself; its level is 0. */
const NODE_ROLE = 'node';

/** Role → level, as the server has them by itself. */
export const DEFAULT_ROLES: Roles = { basic: 10, manager: 30, admin: 50 };

export type Roles = Readonly<Record<string, number>>;

/** Who calls, from verified claims. */
export interface Caller {
  readonly kind: 'person' | 'node';
  /** `iss`. Two issuers may each have somebody of the same name. */
  readonly issuer: string;
  /** `sub`: a person's username, which is never given out again; a node's client id. */
  readonly username: string;
  /** A person's; null where the server knows none. */
  readonly email: string | null;
  /** A person's role on VPN nodes; `node` for a node. */
  readonly role: string;
  /** The level of the role, 0 for a node. */
  readonly level: number;
  /** The node that got the token on behalf of the person (RFC 8693 4.1); null where none did. */
  readonly actor: string | null;
  /** True for a test token: whoever it names was typed by somebody. */
  readonly isTest: boolean;
  readonly claims: Claims;
}

/** What a route asks for beyond a good token. */
export interface CallerRequirements {
  /** The least level. */
  readonly level?: number | undefined;
  /** Any of them will do. */
  readonly roles?: readonly string[] | undefined;
  /** True lets nodes in that call for themselves; they are no persons, and their level is 0. */
  readonly nodes?: boolean | undefined;
}

/** The caller of a VPN JWT of the server; throws a GuardError where the claims are not those of one. */
export function toCaller(claims: Claims): Caller {
  const { level } = claims;
  if (!isLevel(level)) throw invalid('This is no VPN JWT: it names no role and level.');
  const about = readTexts(claims);
  // A username never equals a client id, in any spelling: the server sees to that.
  const kind = about.username === claims['client_id'] ? 'node' : 'person';
  if (kind === 'node' && (about.role !== NODE_ROLE || level !== 0)) {
    throw invalid('This is no VPN JWT: a node has no role and level of a person.');
  }
  return { kind, ...about, level, actor: actorOf(claims), isTest: false, claims };
}

/** The caller of a test token, as strictly. A role that is not on the list is the least one, as at the server. */
export function toTestCaller(claims: Claims, roles: Roles): Caller {
  const about = readTexts(claims);
  const role = Object.hasOwn(roles, about.role) ? about.role : leastOf(roles);
  const level = roles[role] ?? 0;
  return { kind: 'person', ...about, role, level, actor: null, isTest: true, claims };
}

/** Whom a token names, and as what. Nothing is made a text that was none. */
function readTexts(claims: Claims): Pick<Caller, 'issuer' | 'username' | 'email' | 'role'> {
  const { iss, sub, username, email = null, role } = claims;
  if (typeof iss !== 'string' || typeof sub !== 'string' || typeof role !== 'string') {
    throw invalid('The token does not say in words who it is for, and in which role.');
  }
  if (email !== null && typeof email !== 'string') throw invalid('The token’s email is no text.');
  if (username !== sub) throw invalid('The token names two persons.');
  return { issuer: iss, username: sub, email, role };
}

/** Throws a TypeError for requirements that cannot be meant: nobody would be let in, or somebody by accident. */
export function assertPossible({ level, roles }: CallerRequirements): void {
  if (level !== undefined && !isLevel(level)) throw new TypeError('level: a whole number, 0 or more');
  if (roles?.length === 0) throw new TypeError('roles: name at least one, or leave them out');
}

/** Throws a GuardError where the caller does not meet the requirements. */
export function assertCaller(caller: Caller, { level = 0, roles, nodes = false }: CallerRequirements): void {
  if (caller.kind === 'node' && !nodes) throw insufficient('This is for people: a node’s own token is none.');
  if (caller.level < level) throw insufficient(`This needs the level ${level}; yours is ${caller.level}.`);
  if (roles !== undefined && !roles.includes(caller.role)) {
    throw insufficient(`This needs the role ${roles.join(' or ')}.`);
  }
}

const insufficient = (message: string): GuardError => new GuardError('ERR_GUARD_ROLE_INSUFFICIENT', message);

const isLevel = (level: unknown): level is number => Number.isSafeInteger(level) && Number(level) >= 0;

function actorOf({ act }: Claims): string | null {
  if (typeof act !== 'object' || act === null || !('sub' in act)) return null;
  return typeof act.sub === 'string' ? act.sub : null;
}

const leastOf = (roles: Roles): string =>
  Object.entries(roles).reduce(([name, least], [other, level]) =>
    level < least ? [other, level] : [name, least],
  )[0];
