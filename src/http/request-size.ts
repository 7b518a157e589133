/** How long the parameters of an authorization request may be: the server remembers them until it is answered. */
import { AppError } from '../errors.ts';

const MAX_TEXT = 2_048;
const LONGER: Readonly<Record<string, number>> = { claims: 4_096 };
const BOUNDED = ['state', 'nonce', 'claims', 'login_hint', 'ui_locales'] as const;

/** Throws `invalid_request` for a parameter that is too long, also where it comes several times. */
export function assertBounded(query: URLSearchParams): void {
  for (const name of BOUNDED) {
    const max = LONGER[name] ?? MAX_TEXT;
    if (query.getAll(name).some((value) => value.length > max))
      throw new AppError('invalid_request', `The parameter ${name} has at most ${max} characters.`);
  }
}
