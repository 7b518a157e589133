/**
 * Why this module refused: one error class, and what its codes mean. A code never changes its meaning; messages may.
 */
import { isError } from '../guard/errors.ts';

/** What went wrong, for a program to branch on. */
export type CustomerErrorCode =
  /** A field, or its metadata, is none that a customer can have: see `faults`. */
  | 'ERR_CUSTOMER_INVALID'
  /** The generator knows no customer of that name. */
  | 'ERR_CUSTOMER_UNKNOWN'
  /** What should sign cannot: it is no private key for ES256 in PEM form. */
  | 'ERR_CUSTOMER_KEY_INVALID'
  /** The token would be larger than it may be. */
  | 'ERR_CUSTOMER_TOKEN_TOO_LARGE'
  /** No customer token of this issuer, audience and key. */
  | 'ERR_CUSTOMER_TOKEN_INVALID'
  | 'ERR_CUSTOMER_TOKEN_EXPIRED';

/** One fault of a customer: `path` as in `additionalMetadata.plan`, `message` says what is expected there. */
export interface CustomerFault {
  readonly path: string;
  readonly message: string;
}

interface CustomerErrorOptions extends ErrorOptions {
  readonly faults?: readonly CustomerFault[];
}

/** `message` says what was found, what was expected, and what to do. */
export class CustomerError extends Error {
  /** Stable; see {@link CustomerErrorCode}. */
  readonly code: CustomerErrorCode;
  /** Each fault of a customer; empty for every other code. */
  readonly faults: readonly CustomerFault[];

  constructor(
    code: CustomerErrorCode,
    message: string,
    { faults = [], ...options }: CustomerErrorOptions = {},
  ) {
    super(message, options);
    this.name = 'CustomerError';
    this.code = code;
    this.faults = faults;
  }
}

/** True for a CustomerError, also one of another copy of this package; `code` asks for a certain one. */
export function isCustomerError(error: unknown, code?: CustomerErrorCode): error is CustomerError {
  if (!isError(error) || error.name !== 'CustomerError' || !('code' in error)) return false;
  return code === undefined || error.code === code;
}
