/** A store that cannot answer, in the engine's terms and back: whoever asks, it ends as 503, never as `invalid_*`. */
import { errors } from 'oidc-provider';

import { isAppError } from '../errors.ts';

/** The engine answers it as it stands; a plain error would become 500 `server_error`. */
class StoreUnavailable extends errors.OIDCProviderError {
  constructor(cause: Error) {
    super(503, 'temporarily_unavailable', { cause });
    this.error_description = cause.message;
    this.expose = true;
    this.allow_redirect = false; // the person stays here, where the same request can be tried again
  }
}

/** The reason why the store cannot answer, in one line; null for an error of another kind. */
export function lostCauseOf(error: unknown): string | null {
  if (!(error instanceof StoreUnavailable)) return null;
  const reason = Error.isError(error.cause) ? error.cause.cause : null;
  return Error.isError(reason) ? reason.message : error.message;
}

/** For what the engine asks of us: AppError('store_unavailable') becomes the engine's own kind of error. */
export async function translated<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    throw isAppError(error, 'store_unavailable') ? new StoreUnavailable(error) : error;
  }
}

/** For what we ask of the engine: its error becomes AppError('store_unavailable') again. */
export async function translatedBack<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    throw error instanceof StoreUnavailable ? error.cause : error;
  }
}
