/**
 * What an API key looks like: `pcl_`, 256 random bits and a checksum, all in letters and digits, so that a double
 * click takes the whole of it and a scanner of leaked secrets knows it. A mistyped one is refused without a look into
 * the store.
 */
import { randomBytes } from 'node:crypto';
import { crc32 } from 'node:zlib';

import { digest } from '../digest.ts';

const PREFIX = 'pcl_';
const SECRET_BYTES = 32;
/** In the order of ASCII, so that numbers of one length sort as texts. */
const DIGITS = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
/** 62^43 > 2^256. */
const RANDOM_DIGITS = 43;
/** 62^6 > 2^32. */
const CHECKSUM_DIGITS = 6;
const KEY = new RegExp(`^${PREFIX}[0-9A-Za-z]{${RANDOM_DIGITS + CHECKSUM_DIGITS}}$`);

const ID_TIME_DIGITS = 6;
const ID_RANDOM_BYTES = 9;
const ID_RANDOM_DIGITS = 13;

/** A new key, to be shown once. */
export function makeKey(): string {
  const body = PREFIX + toDigits(randomBytes(SECRET_BYTES), RANDOM_DIGITS);
  return body + checksumOf(body);
}

/** True for what can be a key; it may still be nobody's. */
export const isKey = (value: string): boolean =>
  KEY.test(value) && value.endsWith(checksumOf(value.slice(0, -CHECKSUM_DIGITS)));

/** What is kept of a key. A plain hash suffices for 256 random bits (ASVS 6.5.2). */
export const digestOf = (key: string): string => digest(key);

/** A new id, by which a key is named without giving it away. Those made later sort behind. */
export const makeKeyId = (now: number): string =>
  write(BigInt(now), ID_TIME_DIGITS) + toDigits(randomBytes(ID_RANDOM_BYTES), ID_RANDOM_DIGITS);

const checksumOf = (text: string): string => write(BigInt(crc32(text)), CHECKSUM_DIGITS);

const toDigits = (bytes: Buffer, length: number): string =>
  write(BigInt(`0x${bytes.toString('hex')}`), length);

function write(number: bigint, length: number): string {
  let digits = '';
  for (let rest = number; digits.length < length; rest /= 62n)
    digits = DIGITS.charAt(Number(rest % 62n)) + digits;
  return digits;
}
