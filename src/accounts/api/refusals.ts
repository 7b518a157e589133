/** What the slice's outcomes are as Problems. */
import { AppError } from '../../errors.ts';
import type { InputFault } from '../../errors.ts';
import type { ChangeOutcome } from '../credentials.ts';

/** 400 with every fault; `rename`: the fields whose names here are others than in the slice. */
export function invalidInput(
  faults: readonly InputFault[],
  rename: Readonly<Record<string, string>> = {},
): AppError {
  const errors = faults.map(({ path, message }) => ({ path: rename[path] ?? path, message }));
  const detail = errors.map(({ path, message }) => `${path}: ${message}`).join('; ');
  return new AppError('invalid_request', detail, { errors });
}

/** 423 until the lock ends. */
export const locked = (untilAt: number, now: number): AppError =>
  new AppError('account_locked', 'Too many wrong passwords: wait, or reset the password.', {
    retryAfterSeconds: Math.max(1, untilAt - now),
  });

/** A change by password that was not made. */
export function refusedChange(outcome: Exclude<ChangeOutcome, { ok: true }>, now: number): AppError {
  switch (outcome.reason) {
    case 'invalid':
      return invalidInput(outcome.errors);
    case 'locked':
      return locked(outcome.untilAt, now);
    case 'wrong_password':
      return invalidInput([{ path: 'current_password', message: 'this is not the current password' }]);
    case 'refused':
      return new AppError('invalid_token', 'This account cannot be used any more.');
  }
}
