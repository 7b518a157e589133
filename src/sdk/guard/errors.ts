/**
 * Why the guard refused: one error class, and the table from its code to the HTTP status and the `error` of the
 * challenge (RFC 6750 3.1). A code never changes its meaning; messages may.
 */

/** Code → HTTP status, and what `WWW-Authenticate` names; null where it names nothing. */
const TABLE = {
  /** The request brings no credential. */
  ERR_GUARD_TOKEN_MISSING: { status: 401, error: null },
  /** It brings more than one. */
  ERR_GUARD_REQUEST_INVALID: { status: 400, error: 'invalid_request' },
  /** No token of this issuer for this audience, or none that the guard takes. */
  ERR_GUARD_TOKEN_INVALID: { status: 401, error: 'invalid_token' },
  ERR_GUARD_TOKEN_EXPIRED: { status: 401, error: 'invalid_token' },
  /** The revocation feed names it. */
  ERR_GUARD_TOKEN_REVOKED: { status: 401, error: 'invalid_token' },
  ERR_GUARD_SCOPE_INSUFFICIENT: { status: 403, error: 'insufficient_scope' },
  /** Another token would not help: the role is the account's. */
  ERR_GUARD_ROLE_INSUFFICIENT: { status: 403, error: null },
  /** The published keys cannot be had: nobody can say whether the token is good. */
  ERR_GUARD_KEYS_UNAVAILABLE: { status: 503, error: null },
  ERR_GUARD_INTROSPECTION_UNAVAILABLE: { status: 503, error: null },
  ERR_GUARD_REVOCATIONS_UNAVAILABLE: { status: 503, error: null },
} as const;

/** What went wrong, for a program to branch on. */
export type GuardErrorCode = keyof typeof TABLE;

interface GuardErrorOptions extends ErrorOptions {
  /** The scopes that the request needs, for the challenge. */
  readonly scopes?: readonly string[];
}

/** Refuses a request. `message` is fit for the caller's eyes; `cause` is for the log alone. */
export class GuardError extends Error {
  /** Stable; see {@link GuardErrorCode}. */
  readonly code: GuardErrorCode;
  /** The HTTP status that answers it: 400, 401, 403 or 503. */
  readonly status: 400 | 401 | 403 | 503;
  /** The `error` of the challenge (RFC 6750 3.1); null where it has none. */
  readonly challengeError: string | null;
  /** The scopes that the request needs; empty unless they are what it lacks. */
  readonly scopes: readonly string[];

  constructor(code: GuardErrorCode, message: string, { scopes = [], ...options }: GuardErrorOptions = {}) {
    super(message, options);
    this.name = 'GuardError';
    this.code = code;
    this.status = TABLE[code].status;
    this.challengeError = TABLE[code].error;
    this.scopes = scopes;
  }
}

/** True for an error, also of another realm. `Error.isError` came with Node 24, and this runs on Node 20, too. */
export const isError = (value: unknown): value is Error =>
  Object.prototype.toString.call(value) === '[object Error]';

/** True for a GuardError, also one of another copy of this package; `code` asks for a certain one. */
export function isGuardError(error: unknown, code?: GuardErrorCode): error is GuardError {
  if (!isError(error) || error.name !== 'GuardError' || !('code' in error)) return false;
  return code === undefined || error.code === code;
}
