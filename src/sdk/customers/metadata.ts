/**
 * What a customer's own metadata may be: a JSON object of bounded size that goes into a token and comes out of it as it
 * was, and that can change nothing of what the token says by itself.
 */
import type { CustomerFault } from './errors.ts';

/** As JSON in UTF-8. */
export const MAX_METADATA_BYTES = 8 * 1024;
const MAX_DEPTH = 16;
const MAX_VALUES = 900;
const MAX_SHOWN = 60;

export type Metadata = Readonly<Record<string, unknown>>;

/** Claims that come from the customer's fields alone. */
const RESERVED: readonly string[] = ['username', 'customer_type', 'email', 'company', 'subscription_tier'];
/** By these an object's own methods are replaced in a program that merges it carelessly. */
const HOSTILE: ReadonlySet<string> = new Set(['__proto__', 'constructor', 'prototype']);

/** Every fault of the metadata; paths begin with `at`. */
export function metadataFaults(metadata: unknown, at: string): readonly CustomerFault[] {
  if (!isPlainObject(metadata)) return [{ path: at, message: 'expected a JSON object' }];
  const faults = [...shapeFaults(metadata, at), ...nameFaults(metadata, at)];
  if (faults.length > 0) return faults;
  const bytes = Buffer.byteLength(JSON.stringify(metadata));
  if (bytes <= MAX_METADATA_BYTES) return [];
  return [{ path: at, message: `expected at most ${MAX_METADATA_BYTES} bytes as JSON, found ${bytes}` }];
}

/** True for an integer that limits something; 0 lets nothing through. */
export const isRate = (value: unknown): value is number => Number.isSafeInteger(value) && Number(value) >= 0;

/** True for one line of 1 to 64 characters. */
export const isLevel = (value: unknown): value is string =>
  typeof value === 'string' && /^[^\p{Cc}\p{Zl}\p{Zp}\p{Cs}]{1,64}$/u.test(value);

function nameFaults(metadata: Metadata, at: string): readonly CustomerFault[] {
  const reserved = RESERVED.filter((name) => Object.hasOwn(metadata, name)).map((name) => ({
    path: `${at}.${name}`,
    message: 'this is a field of the customer itself, which metadata cannot set',
  }));
  const { rate_limit: rate, api_access_level: level } = metadata;
  return [
    ...reserved,
    ...(rate === undefined || isRate(rate)
      ? []
      : [{ path: `${at}.rate_limit`, message: 'expected a whole number from 0 on' }]),
    ...(level === undefined || isLevel(level)
      ? []
      : [{ path: `${at}.api_access_level`, message: 'expected a text of 1 to 64 characters' }]),
  ];
}

interface Visited {
  readonly path: string;
  readonly value: unknown;
}

/** Level by level, so that no depth is too much to look at. */
function shapeFaults(metadata: Metadata, at: string): readonly CustomerFault[] {
  let level: readonly Visited[] = [{ path: at, value: metadata }];
  let values = 0;
  for (let depth = 0; level.length > 0; depth += 1) {
    values += level.length;
    if (depth > MAX_DEPTH || values > MAX_VALUES) {
      return [{ path: at, message: `expected at most ${MAX_VALUES} values in ${MAX_DEPTH} levels` }];
    }
    const fault = level.map(valueFault).find((found) => found !== null);
    if (fault !== undefined) return [fault];
    level = level.flatMap(membersOf);
  }
  return [];
}

function valueFault({ path, value }: Visited): CustomerFault | null {
  if (isPlainObject(value)) {
    const name = Object.keys(value).find((key) => HOSTILE.has(key));
    return name === undefined ? null : { path, message: `"${name}" is no name that metadata can have` };
  }
  const isJson =
    value === null ||
    typeof value === 'string' ||
    typeof value === 'boolean' ||
    (typeof value === 'number' && Number.isFinite(value)) ||
    Array.isArray(value);
  return isJson
    ? null
    : { path, message: 'expected JSON: texts, numbers, true, false, null, lists and objects' };
}

function membersOf({ path, value }: Visited): readonly Visited[] {
  if (Array.isArray(value)) {
    // From a list with holes: JSON would write null there, and another value would come back.
    return Array.from(value as readonly unknown[], (item, index) => ({
      path: `${path}[${index}]`,
      value: item,
    }));
  }
  if (!isPlainObject(value)) return [];
  return Object.entries(value).map(([key, member]) => ({
    path: `${path}.${key.slice(0, MAX_SHOWN).replaceAll(/\p{C}/gu, '?')}`,
    value: member,
  }));
}

function isPlainObject(value: unknown): value is Metadata {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  // Of another realm, too: its Object.prototype is the one without a prototype itself.
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}
