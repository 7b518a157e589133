/**
 * The fields by which a person is known, as they may be typed: usernames, addresses, full names. Names are compared
 * folded (NFKC, lower case), and what folding cannot make plain is refused, so that no two people look like one.
 */
import type { InputFault } from '../errors.ts';
import { foldName } from '../names.ts';

const MAX_USERNAME_LENGTH = 64;
const MAX_EMAIL_LENGTH = 254; // RFC 5321 4.5.3.1.3
const MAX_LOCAL_PART_LENGTH = 64;
const MAX_FULL_NAME_LENGTH = 200;
/** No login that is longer can be anybody's. */
export const MAX_LOGIN_LENGTH = 320;

/** Letters that need no escaping in a URL, a log or a claim. It begins and ends as a word does. */
const USERNAME = /^[a-z0-9](?:[a-z0-9._-]*[a-z0-9])$/;
/** RFC 5322's dot-atom before the @, a domain of two labels or more behind it: no comments, quotes or lists. */
const EMAIL =
  /^[a-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[a-z0-9!#$%&'*+/=?^_`{|}~-]+)*@(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/i;
/** Control characters, and those that turn the direction of a line or are not seen. */
const UNSEEN = /[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\u200B-\u200F\u202A-\u202E\u2060-\u2069\uFEFF]/u;

/** Names by which a stranger would be taken for who runs this server: an administrator may give them. */
const OFFICIAL: readonly string[] = [
  ...['abuse', 'admin', 'administrator', 'hostmaster', 'moderator', 'noreply', 'official', 'operator'],
  ...['postmaster', 'root', 'security', 'superuser', 'support', 'sysadmin', 'system', 'webmaster'],
];

export type IdentityFault =
  'username_malformed' | 'username_reserved' | 'email_malformed' | 'full_name_malformed';

const SENTENCES: Readonly<Record<IdentityFault, string>> = {
  username_malformed: `2 to ${MAX_USERNAME_LENGTH} letters, digits, ".", "_" or "-", beginning and ending with a letter or digit`,
  username_reserved: 'a name that is kept, or looks like one: choose another',
  email_malformed: 'one plain address, such as name@example.com',
  full_name_malformed: `a name of at most ${MAX_FULL_NAME_LENGTH} characters, without control characters`,
};

/** A fault of a field; `code` is a key, so that a page can say it in its own language. */
export interface FieldFault<Code extends string = string> extends InputFault {
  readonly code: Code;
}

type Parsed<T> =
  { readonly ok: true; readonly value: T } | { readonly ok: false; readonly fault: FieldFault };

/** Reads a username; `reserved` are the names of this server itself, and `isOfficial` allows the official ones. */
export function parseUsername(
  typed: string,
  { reserved, mayBeOfficial }: { readonly reserved: readonly string[]; readonly mayBeOfficial: boolean },
): Parsed<string> {
  const username = fold(typed, MAX_USERNAME_LENGTH);
  if (username === null || !USERNAME.test(username)) return refused('username', 'username_malformed');
  const kept = mayBeOfficial ? reserved : [...reserved, ...OFFICIAL];
  const looks = skeleton(username);
  if (kept.some((name) => skeleton(foldName(name)) === looks))
    return refused('username', 'username_reserved');
  return { ok: true, value: username };
}

/** Reads an address: as it is to be written to, and the key by which it is found. */
export function parseEmail(typed: string): Parsed<{ readonly email: string; readonly emailKey: string }> {
  const isPlain =
    typed.length <= MAX_EMAIL_LENGTH && typed.indexOf('@') <= MAX_LOCAL_PART_LENGTH && EMAIL.test(typed);
  return isPlain
    ? { ok: true, value: { email: typed, emailKey: foldName(typed) } }
    : refused('email', 'email_malformed');
}

/** Reads a full name; null for none. */
export function parseFullName(typed: string | null): Parsed<string | null> {
  if (typed === null || typed.length > 4 * MAX_FULL_NAME_LENGTH) {
    return typed === null ? { ok: true, value: null } : refused('full_name', 'full_name_malformed');
  }
  const name = typed.normalize('NFC').trim();
  if (Array.from(name).length > MAX_FULL_NAME_LENGTH || UNSEEN.test(name))
    return refused('full_name', 'full_name_malformed');
  return { ok: true, value: name === '' ? null : name };
}

/** What somebody typed to sign in, folded: an address where it has an @. Null where nobody can be called so. */
export const foldLogin = (typed: string): string | null => fold(typed.trim(), MAX_LOGIN_LENGTH);

/** Lengths come first: folding makes some texts eighteen times as long. */
function fold(typed: string, maxLength: number): string | null {
  const folded = typed.length > maxLength ? '' : foldName(typed);
  return folded !== '' && folded.length <= maxLength ? folded : null;
}

/** What is left of a name for the hurried eye: without separators, digits as the letters that they look like. */
const skeleton = (name: string): string =>
  name
    .replaceAll(/[._\s-]/g, '')
    .replaceAll('rn', 'm')
    .replaceAll('vv', 'w')
    .replaceAll(/[0134578i]/g, (letter) => LOOKS_LIKE[letter] ?? letter);

const LOOKS_LIKE: Readonly<Record<string, string>> = {
  ...{ 0: 'o', 1: 'l', 3: 'e', 4: 'a' },
  ...{ 5: 's', 7: 't', 8: 'b', i: 'l' },
};

const refused = (path: string, code: IdentityFault): { readonly ok: false; readonly fault: FieldFault } => ({
  ok: false,
  fault: { path, code, message: SENTENCES[code] },
});
