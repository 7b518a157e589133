/**
 * What a record may hold of a change. Who records one names the fields that it tells; this is the net below: no
 * secret by its usual names, nothing without a bound, nothing that JSON would lose.
 */
import { digest } from '../digest.ts';

const SECRETS =
  /^(client_?)?secrets?$|pass(word|phrase)|(^|_)hash$|token$|assertion$|^authorization$|^cookie$|private|^jwk$/i;
const PRIVATE_MEMBERS = new Set(['d', 'p', 'q', 'dp', 'dq', 'qi', 'k', 'oth']);
const MAX_TEXT = 1_000;
const MAX_ITEMS = 100;
const MAX_DEPTH = 6;
const MAX_CHARACTERS = 16_384;

export type Details = Readonly<Record<string, unknown>>;

/** The details as they are kept. What is too large is named by its digest, so that two of them can be compared. */
export function toDetails(details: Details): Details {
  const kept = keepObject(details, 0);
  const text = JSON.stringify(kept);
  return text.length <= MAX_CHARACTERS ? kept : { ...digestOf(text) };
}

function keepObject(value: object, depth: number): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(value)
      .filter(([name, member]) => member !== undefined && name !== '__proto__')
      .slice(0, MAX_ITEMS)
      .map(([name, member]) => [
        name.slice(0, MAX_TEXT),
        isSecret(name, member) ? '[secret]' : keep(member, depth),
      ]),
  );
}

/** That there is one, or none, is no secret: `has_password: true` stays. */
const isSecret = (name: string, member: unknown): boolean =>
  (SECRETS.test(name) || PRIVATE_MEMBERS.has(name)) && typeof member !== 'boolean' && member !== null;

function keep(value: unknown, depth: number): unknown {
  if (typeof value === 'string') return value.length <= MAX_TEXT ? value : digestOf(value);
  if (typeof value === 'number') return Number.isFinite(value) ? value : null;
  if (typeof value === 'boolean' || value === null) return value;
  if (typeof value !== 'object') return null;
  if (depth === MAX_DEPTH) return '[deep]';
  return Array.isArray(value)
    ? value.slice(0, MAX_ITEMS).map((item) => keep(item, depth + 1))
    : keepObject(value, depth + 1);
}

const digestOf = (text: string) => ({ characters: text.length, sha256: digest(text) });
