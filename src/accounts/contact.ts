/** Where a person is to be reached, as they say it themselves: nothing of it is verified. */
import type { Contact } from '../storage/port.ts';
import type { FieldFault } from './identity.ts';

export type ContactFault = 'phone_number_malformed' | 'address_malformed';

const MAX_TYPED_LENGTH = 1_000;
const MAX_ADDRESS_LENGTH = 300;
const MAX_ADDRESS_LINES = 8;
/** What people put between the digits; the zero in brackets is not dialled behind a country. */
const SEPARATORS = /\(0\)|[\s().\-/]/g;
/** E.164, as OpenID Connect Core 5.1 recommends it: the country first, at most 15 digits. */
const PHONE_NUMBER = /^\+[1-9]\d{5,14}$/;
/** Control characters but for the end of a line, and those that turn the direction of a line or are not seen. */
const UNSEEN = /[^\P{Cc}\n]|[\p{Cs}\p{Zl}\p{Zp}\u200B-\u200F\u202A-\u202E\u2060-\u2069\uFEFF]/u;

/** As it is typed into the form: an empty text for none. */
export interface TypedContact {
  readonly phoneNumber: string;
  readonly address: string;
}

/** Reads both; all faults at once. */
export function parseContact({
  phoneNumber,
  address,
}: TypedContact):
  | { readonly ok: true; readonly value: Contact }
  | { readonly ok: false; readonly errors: readonly FieldFault<ContactFault>[] } {
  const digits = phoneNumber.slice(0, MAX_TYPED_LENGTH).replaceAll(SEPARATORS, '');
  const lines = linesOf(address.slice(0, MAX_TYPED_LENGTH));
  const errors = [
    ...(digits === '' || PHONE_NUMBER.test(digits) ? [] : [PHONE_FAULT]),
    ...(isAddress(lines) ? [] : [ADDRESS_FAULT]),
  ];
  if (errors.length > 0) return { ok: false, errors };
  return { ok: true, value: { phoneNumber: digits || null, address: lines.join('\n') || null } };
}

const linesOf = (text: string): readonly string[] =>
  text
    .normalize('NFC')
    .replaceAll('\r\n', '\n')
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');

const isAddress = (lines: readonly string[]): boolean =>
  lines.length <= MAX_ADDRESS_LINES &&
  Array.from(lines.join('\n')).length <= MAX_ADDRESS_LENGTH &&
  !UNSEEN.test(lines.join('\n'));

const PHONE_FAULT: FieldFault<ContactFault> = {
  path: 'phone_number',
  code: 'phone_number_malformed',
  message: 'a number with its country, such as +49 30 123456',
};
const ADDRESS_FAULT: FieldFault<ContactFault> = {
  path: 'address',
  code: 'address_malformed',
  message: `at most ${MAX_ADDRESS_LINES} lines and ${MAX_ADDRESS_LENGTH} characters, without control characters`,
};
