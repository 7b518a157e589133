/**
 * Whether a secret can be 256 random bits. Nobody can prove randomness from one value; this refuses what cannot
 * be random: too short, few characters, patterns, words of samples, text in base64. Chosen so that a random
 * value is refused less than once in a million (the bounds are beside the checks).
 */
import { parseSecret } from './secret-format.ts';
import type { KeyName } from './secret-format.ts';

export const STRONG_SECRET = 'at least 256 random bits: 43 or more characters of base64, or 64 of hex';

const LEAST_BITS = 256;
const DIGITS_ONLY = /^\d+$/;
const HEX = /^[0-9a-f]+$/i;
// Words of samples, README files and settings of other frameworks. None shorter than six letters: shorter ones
// stand in one random value out of some ten thousand.
const SAMPLE_WORDS =
  /changeme|changethis|secret|example|sample|insecure|development|placeholder|password|replace|default|portcullis|testing|django|production/;

/** Why the secret is weak, as a clause that does not hold the secret; null where nothing speaks against it. */
export function weaknessOf(secret: string, name: KeyName): string | null {
  const { madeAs, payload } = parseSecret(secret);
  if (madeAs !== null && madeAs !== name) return `a secret that was made as ${madeAs}`;
  return shapeWeakness(payload) ?? lengthWeakness(payload) ?? patternWeakness(payload);
}

/** True where two secrets are the same bits, whatever their prefix, padding or alphabet. */
export function areSameSecret(one: string, other: string): boolean {
  return canonical(one) === canonical(other);
}

function shapeWeakness(payload: string): string | null {
  if (SAMPLE_WORDS.test(lettersOf(payload)) || SAMPLE_WORDS.test(lettersOf(decode(payload)))) {
    return 'a sample or placeholder';
  }
  if (/\s/.test(payload)) return 'a value with spaces in it, so a phrase or several lines';
  if (!/^[\x21-\x7e]*$/.test(payload)) return 'a value with characters other than printable ASCII';
  return isPrintable(decode(payload)) ? 'text in base64 or hex, so nothing random' : null;
}

function lengthWeakness(payload: string): string | null {
  const bits = Math.floor(stripPadding(payload).length * bitsPerCharacter(payload));
  return bits < LEAST_BITS ? `too short a value, ${bits} bits at most` : null;
}

/** Random values: 43 characters of base64 hold 31 different ones (16 or fewer: never), 64 of hex 15.7. */
function patternWeakness(payload: string): string | null {
  const leastDistinct = HEX.test(payload) ? 10 : 16;
  if (new Set(payload).size < leastDistinct) return 'a value of few different characters';
  if (smallestPeriod(payload) <= payload.length * 0.75) return 'a value that repeats itself';
  return neighbours(payload) > payload.length / 2 ? 'a sequence of neighbouring characters' : null;
}

function bitsPerCharacter(payload: string): number {
  if (DIGITS_ONLY.test(payload)) return Math.log2(10);
  if (HEX.test(payload)) return 4;
  return /[a-z]/.test(payload) && /[A-Z]/.test(payload) ? 6 : 5;
}

/** How many steps to the next character are by -1, 0 or 1: of random base64 one in twenty, of hex one in six. */
function neighbours(text: string): number {
  return Array.from(text).filter(
    (_, at) => at > 0 && Math.abs(text.charCodeAt(at) - text.charCodeAt(at - 1)) <= 1,
  ).length;
}

/** The shift under which a text meets itself: 3 of `abcabcab`, its length where nothing repeats. */
function smallestPeriod(text: string): number {
  for (let shift = 1; shift < text.length; shift += 1) {
    if (text.startsWith(text.slice(shift))) return shift;
  }
  return text.length;
}

function canonical(secret: string): string {
  const { payload } = parseSecret(secret);
  const bytes = decode(payload);
  return bytes === '' ? payload : bytes;
}

/** The bytes that a hex or base64 text stands for, as latin1; empty where it is neither. */
function decode(payload: string): string {
  if (HEX.test(payload) && payload.length % 2 === 0) return Buffer.from(payload, 'hex').toString('latin1');
  return /^[\w+/-]+=*$/.test(payload) ? Buffer.from(payload, 'base64').toString('latin1') : '';
}

/** 32 random bytes are all printable once in 10^14. */
function isPrintable(bytes: string): boolean {
  return bytes.length >= 16 && /^[\t\n\r\x20-\x7e]+$/.test(bytes);
}

function lettersOf(text: string): string {
  return text.toLowerCase().replace(/[^a-z]/g, '');
}

function stripPadding(payload: string): string {
  return payload.replace(/=+$/, '');
}
