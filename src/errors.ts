/**
 * What can go wrong, by name: AppError and the table from its code to the HTTP status and the OAuth error.
 * Everything that refuses a request throws one of these; `http/errors.ts` alone turns them into bodies.
 */

/** Code → HTTP status and the OAuth 2 `error` value (RFC 6749 5.2, RFC 6750 3.1, RFC 7662). */
export const ERROR_TABLE = {
  invalid_request: { status: 400, oauth: 'invalid_request' },
  unauthenticated: { status: 401, oauth: 'invalid_token' },
  invalid_token: { status: 401, oauth: 'invalid_token' },
  forbidden: { status: 403, oauth: 'access_denied' },
  insufficient_scope: { status: 403, oauth: 'insufficient_scope' },
  unauthorized_client: { status: 403, oauth: 'unauthorized_client' },
  not_found: { status: 404, oauth: 'invalid_request' },
  method_not_allowed: { status: 405, oauth: 'invalid_request' },
  not_acceptable: { status: 406, oauth: 'invalid_request' },
  conflict: { status: 409, oauth: 'invalid_request' },
  payload_too_large: { status: 413, oauth: 'invalid_request' },
  unsupported_media_type: { status: 415, oauth: 'invalid_request' },
  misdirected_request: { status: 421, oauth: 'invalid_request' },
  account_locked: { status: 423, oauth: 'access_denied' },
  too_many_requests: { status: 429, oauth: 'temporarily_unavailable' },
  not_implemented: { status: 501, oauth: 'invalid_request' },
  overloaded: { status: 503, oauth: 'temporarily_unavailable' },
  store_unavailable: { status: 503, oauth: 'temporarily_unavailable' },
} as const;

export type ErrorCode = keyof typeof ERROR_TABLE;

interface AppErrorOptions extends ErrorOptions {
  /** Seconds after which the same request may succeed; becomes `Retry-After`. */
  readonly retryAfterSeconds?: number;
  /** Where in the input each fault is, for Problem bodies. */
  readonly errors?: readonly InputFault[];
}

/** One fault of an input: `path` as in `a.b[0]`, `message` a sentence a person can act on. */
export interface InputFault {
  readonly path: string;
  readonly message: string;
}

/** Refuses a request. `message` is shown to the caller: it says what to do and holds no secret. */
export class AppError extends Error {
  readonly code: ErrorCode;
  readonly status: number;
  readonly retryAfterSeconds: number | undefined;
  readonly errors: readonly InputFault[] | undefined;

  constructor(code: ErrorCode, description: string, options: AppErrorOptions = {}) {
    super(description, options);
    this.name = 'AppError';
    this.code = code;
    this.status = ERROR_TABLE[code].status;
    this.retryAfterSeconds = options.retryAfterSeconds;
    this.errors = options.errors;
  }
}

/** True for an AppError, also one made in another realm (jest runs modules in their own). */
export function isAppError(error: unknown, code?: ErrorCode): error is AppError {
  if (!Error.isError(error) || error.name !== 'AppError' || !('code' in error)) return false;
  return code === undefined || error.code === code;
}

/** What an error says, whatever was thrown. */
export const messageOf = (error: unknown): string => (Error.isError(error) ? error.message : String(error));

/** The store cannot answer now: every endpoint says 503 with Retry-After, never `invalid_*`. */
export function storeUnavailable(cause: unknown): AppError {
  return new AppError('store_unavailable', 'The token store cannot answer just now; try again in a moment.', {
    cause,
    retryAfterSeconds: 2,
  });
}
