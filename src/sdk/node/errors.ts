/**
 * Why a node got no token: one error class, and what its codes mean. That a token which a node was shown is not good is
 * another matter: a GuardError. A code never changes its meaning; messages may.
 */
import { isError } from '../guard/errors.ts';

/** Code → whether the same request may well succeed a little later. */
const TABLE = {
  /** Nobody answers, or the server says that it cannot answer now: 429, or 500 and above. */
  ERR_VPN_UNAVAILABLE: { isTemporary: true },
  /** The server does not take the node: its id or secret, its scope, or that it is a VPN node. */
  ERR_VPN_NODE_REFUSED: { isTemporary: false },
  /** The server does not take the token of the person that the node acts for. */
  ERR_VPN_SUBJECT_REFUSED: { isTemporary: false },
  /** The file of the node's key cannot be read or written, or holds something else. */
  ERR_VPN_KEY_UNUSABLE: { isTemporary: false },
  /** What answers is not this server. */
  ERR_VPN_ANSWER_INVALID: { isTemporary: false },
} as const;

/** What went wrong, for a program to branch on. */
export type VpnClientErrorCode = keyof typeof TABLE;

interface VpnClientErrorOptions extends ErrorOptions {
  readonly status?: number | null;
  readonly oauthError?: string | null;
  readonly retryAfterSeconds?: number | null;
}

/** No token was to be had. `message` says what to do and holds no secret; `cause` is for the log. */
export class VpnClientError extends Error {
  /** Stable; see {@link VpnClientErrorCode}. */
  readonly code: VpnClientErrorCode;
  /** True where the same request may well succeed a little later. */
  readonly isTemporary: boolean;
  /** The HTTP status of the answer; null where there was none. */
  readonly status: number | null;
  /** The `error` of the answer (RFC 6749 5.2, RFC 6750 3.1); null where it had none. */
  readonly oauthError: string | null;
  /** When the server asks to come back; null where it does not say. */
  readonly retryAfterSeconds: number | null;

  constructor(code: VpnClientErrorCode, message: string, options: VpnClientErrorOptions = {}) {
    const { status = null, oauthError = null, retryAfterSeconds = null, ...rest } = options;
    super(message, rest);
    this.name = 'VpnClientError';
    this.code = code;
    this.isTemporary = TABLE[code].isTemporary;
    this.status = status;
    this.oauthError = oauthError;
    this.retryAfterSeconds = retryAfterSeconds;
  }
}

/** True for a VpnClientError, also one of another copy of this package; `code` asks for a certain one. */
export function isVpnClientError(error: unknown, code?: VpnClientErrorCode): error is VpnClientError {
  if (!isError(error) || error.name !== 'VpnClientError' || !('code' in error)) return false;
  return code === undefined || error.code === code;
}
