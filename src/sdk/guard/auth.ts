/** What a credential proves, once it is verified, and what a route may require of it. */
import { GuardError } from './errors.ts';

/** The claims of a JWT (RFC 9068 2.2), or the members of an introspection answer (RFC 7662 2.2). */
export type Claims = Readonly<Record<string, unknown>>;

/** Who calls, and what the credential allows. */
export interface Auth {
  /** `sub`: the account's id; of a client that calls for itself, its client id. */
  readonly subject: string;
  /** The client that the token was given to; null for a credential that no client has, such as an API key. */
  readonly clientId: string | null;
  readonly scopes: readonly string[];
  /** The role of the account at the audience; null where it has none. */
  readonly role: string | null;
  /** Everything that was said, verified. */
  readonly claims: Claims;
}

/** What a route asks for beyond a good token. */
export interface Requirements {
  /** Any of them will do. */
  readonly roles?: readonly string[] | undefined;
  /** All of them are needed. */
  readonly scopes?: readonly string[] | undefined;
  /** One of the guard's audiences, for a guard that has several. */
  readonly audience?: string | undefined;
}

// RFC 6749 3.3, which also keeps a challenge's quotes whole.
const SCOPE = /^[!#-[\]-~]+$/;

/**
 * Throws a TypeError for requirements that cannot be meant: an empty list lets everybody or nobody in, depending on
 * who reads it, and an audience that the guard does not take is never met.
 */
export function assertSensible(
  { roles, scopes, audience }: Requirements,
  audiences: readonly string[],
): void {
  if (roles?.length === 0) throw new TypeError('roles: name at least one, or leave them out');
  if (scopes?.length === 0) throw new TypeError('scopes: name at least one, or leave them out');
  if (scopes?.some((scope) => !SCOPE.test(scope)) === true) {
    throw new TypeError('scopes: each is one word of printable characters (RFC 6749 3.3)');
  }
  if (audience !== undefined && !audiences.includes(audience)) {
    throw new TypeError(`audience: the guard takes ${audiences.join(', ')}, never ${audience}`);
  }
}

/** Reads who calls from verified claims; throws where they name nobody. */
export function toAuth(claims: Claims): Auth {
  const { client_id: clientId, scope, role } = claims;
  // An introspection answer may leave out the subject of a client that calls for itself (RFC 7662 2.2).
  const { sub = clientId } = claims;
  if (typeof sub !== 'string' || sub === '') throw invalid('The token names no subject.');
  return {
    subject: sub,
    clientId: typeof clientId === 'string' ? clientId : null,
    scopes: typeof scope === 'string' ? scope.split(' ').filter((word) => word !== '') : [],
    role: typeof role === 'string' ? role : null,
    claims,
  };
}

/** Throws where the requirements are not met. */
export function assertMeets(auth: Auth, { roles, scopes = [], audience }: Requirements): void {
  if (audience !== undefined && !audiencesOf(auth.claims).includes(audience)) {
    throw invalid('The token is for another audience.');
  }
  if (!scopes.every((scope) => auth.scopes.includes(scope))) {
    const message = `This needs the scope ${scopes.join(' ')}.`;
    throw new GuardError('ERR_GUARD_SCOPE_INSUFFICIENT', message, { scopes });
  }
  if (roles !== undefined && (auth.role === null || !roles.includes(auth.role))) {
    throw new GuardError('ERR_GUARD_ROLE_INSUFFICIENT', `This needs the role ${roles.join(' or ')}.`);
  }
}

/** `aud` as a list (RFC 7519 4.1.3). */
export const audiencesOf = ({ aud }: Claims): readonly unknown[] => (Array.isArray(aud) ? aud : [aud]);

/** The refusal of a token, for whatever reason that need not be told apart. */
export const invalid = (message: string, cause?: unknown): GuardError =>
  new GuardError('ERR_GUARD_TOKEN_INVALID', message, { cause });
