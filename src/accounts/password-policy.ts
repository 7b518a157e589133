/**
 * What a new password must be (ASVS 6.2): long enough, not one that everybody tries, not made of what is known of the
 * person. Pure; that it is none of the last three is for `password-history.ts`, which needs the hashes.
 */
import { readFileSync } from 'node:fs';

import { codePoints, MAX_PASSWORD_LENGTH } from './passwords.ts';

const MIN_LENGTH = 8;
/** From here on length does more than any mixture of characters. */
const PASSPHRASE_LENGTH = 15;
/** A shorter name stands in too many words to be refused there; it may still not be the whole password. */
const MIN_PART_LENGTH = 4;
const MIN_DISTINCT = 5;

/** Why a password is refused; a key, so that a page can say it in its own language. */
export type PasswordFault =
  | 'password_short'
  | 'password_long'
  | 'password_malformed'
  | 'password_simple'
  | 'password_common'
  | 'password_repetitive'
  | 'password_personal'
  | 'password_reused';

export const PASSWORD_SENTENCES: Readonly<Record<PasswordFault, string>> = {
  password_short: `A password has at least ${MIN_LENGTH} characters.`,
  password_long: `A password has at most ${MAX_PASSWORD_LENGTH} characters.`,
  password_malformed: 'That password holds something that is no character: type it again.',
  password_simple: `A password of fewer than ${PASSPHRASE_LENGTH} characters needs an upper-case letter, a lower-case letter, a digit and a symbol; a longer one needs none of that.`,
  password_common:
    'That password is one that many people use, and so one that is tried first: choose another.',
  password_repetitive: 'That password repeats itself, which is easily guessed: choose another.',
  password_personal:
    'A password must not contain your username, your address or the name of this service: choose another.',
  password_reused: 'That is one of your last three passwords: choose another.',
};

export interface PasswordContext {
  readonly username: string;
  readonly email: string;
  /** What people call this service. */
  readonly product: string;
}

/** The first thing that is wrong with a password, in NFC; null where it is fine. */
export function judgePassword(typed: string, context: PasswordContext): PasswordFault | null {
  // UTF-8 has one spelling for all lone surrogates: such passwords would be equal.
  if (!typed.isWellFormed()) return 'password_malformed';
  const password = typed.normalize('NFC');
  const length = codePoints(password);
  if (length < MIN_LENGTH) return 'password_short';
  if (length > MAX_PASSWORD_LENGTH) return 'password_long';
  if (COMMON.has(compared(password))) return 'password_common';
  if (isRepetitive(compared(password))) return 'password_repetitive';
  if (isPersonal(compared(password), context)) return 'password_personal';
  return length < PASSPHRASE_LENGTH && !isMixed(password) ? 'password_simple' : null;
}

/** For comparisons only: what is hashed keeps its case. */
const compared = (text: string): string => text.normalize('NFKC').toLowerCase();

/** One entry a line, lower case: from the known lists of what people choose, and the usual variants of words. */
const COMMON: ReadonlySet<string> = new Set(
  readFileSync(new URL('./common-passwords.txt', import.meta.url), 'utf8')
    .trimEnd()
    .split('\n'),
);

/** Every character of Unicode is one of the four; a space is a symbol. */
function isMixed(password: string): boolean {
  const kinds = [/\p{Lu}/u, /\p{Ll}/u, /\p{Nd}/u, /[^\p{L}\p{N}]/u];
  return kinds.every((kind) => kind.test(password));
}

/** `aaaaaaaa…`, `abababab…`, and a common password written twice. */
function isRepetitive(password: string): boolean {
  if (new Set(Array.from(password)).size < MIN_DISTINCT) return true;
  // A text repeats itself just where it is found in its own double before the end.
  const period = `${password}${password}`.indexOf(password, 1);
  return period < password.length && (period < MIN_LENGTH || COMMON.has(password.slice(0, period)));
}

function isPersonal(password: string, { username, email, product }: PasswordContext): boolean {
  const words = [username, email, email.split('@')[0] ?? '', product, product.replaceAll(/\s/g, '')];
  return words
    .map(compared)
    .some(
      (word) =>
        word !== '' &&
        (password === word || (codePoints(word) >= MIN_PART_LENGTH && password.includes(word))),
    );
}
