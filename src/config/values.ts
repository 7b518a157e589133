/**
 * What single settings may hold, as zod schemas: origins, addresses, database URLs, roles. Each takes what the
 * settings file may hold (a text, number or list) and gives what the program works with.
 */
import { isIP } from 'node:net';
import * as z from 'zod';

import { LEAST_CONTRAST, WHITE, contrastOf } from '../colour.ts';
import { isNetwork } from '../networks.ts';
import { PERMISSIONS } from '../permissions.ts';

const MAX_PORT = 65_535;
const MAX_TEXT = 2_048;
const MAX_ROLES = 32;
const MAX_NETWORKS = 100;
const HOST_NAME = /^(?=.{1,253}$)[a-z0-9_](?:[a-z0-9_-]{0,62})?(?:\.[a-z0-9_](?:[a-z0-9_-]{0,62})?)*$/i;
// Names that every object answers to, and the role that a node has when it acts for itself.
const RESERVED_ROLES = new Set(['constructor', 'prototype', 'node']);

/** A database, told without what may hold a password. */
export type Database =
  | {
      readonly kind: 'sqlite';
      /** As it was written. */
      readonly path: string;
    }
  | { readonly kind: 'mongodb'; readonly url: string };

export interface ListenAddress {
  readonly host: string;
  readonly port: number;
}

/** The origin of an http(s) URL that is nothing but an origin, or null. */
function parseOrigin(text: string): string | null {
  if (!/^https?:\/\/[^\s/?#@\\]+\/?$/i.test(text) || !URL.canParse(text)) return null;
  return new URL(text).origin;
}

/** True for localhost, 127.0.0.0/8 and ::1, as a URL's `hostname` writes them. */
export function isLoopbackHost(hostname: string): boolean {
  return (
    hostname === 'localhost' || hostname === '[::1]' || (isIP(hostname) === 4 && hostname.startsWith('127.'))
  );
}

function isAddress(text: string): boolean {
  const match = /^(?<local>[a-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64})@(?<host>.+)$/i.exec(text);
  return isHost(match?.groups?.['host'] ?? '');
}

/** True where something can listen on it: a name, or an IP address without brackets. */
function isHost(text: string): boolean {
  return isIP(text) !== 0 || (HOST_NAME.test(text) && !/^[\d.]+$/.test(text));
}

function parseAddress(text: string): ListenAddress | null {
  const match = /^(?:\[(?<ipv6>[^\]]+)\]|(?<name>[^:[\]]+)):(?<port>\d{1,5})$/.exec(text);
  const host = match?.groups?.['ipv6'] ?? match?.groups?.['name'] ?? '';
  const port = Number(match?.groups?.['port']);
  if (!isHost(host) || !(port <= MAX_PORT) || (match?.groups?.['ipv6'] !== undefined && isIP(host) !== 6))
    return null;
  return { host, port };
}

function parseDatabase(text: string): Database | null {
  if (hasControlCharacters(text)) return null;
  const path = /^sqlite:(?!\/\/)(?<path>.+)$/.exec(text)?.groups?.['path'];
  // A store in memory would not be shared with the writer thread, and be gone with the process.
  if (path?.startsWith(':') === true) return null;
  if (path !== undefined) return { kind: 'sqlite', path };
  return /^mongodb(?:\+srv)?:\/\/(?:[^/?#]*@)?[^\s/?#@]+(?:\/[^\s]*)?$/.test(text)
    ? { kind: 'mongodb', url: text }
    : null;
}

function hasControlCharacters(text: string): boolean {
  return /\p{Cc}/u.test(text);
}

/** Turns a text into what `parse` makes of it; null refuses it. */
function parsed<T>(parse: (text: string) => T | null): z.ZodType<T, string> {
  return z
    .string()
    .max(MAX_TEXT)
    .transform((text, context) => {
      const value = parse(text);
      if (value !== null) return value;
      context.addIssue({ code: 'custom', input: text });
      return z.NEVER;
    });
}

/** A whole number within bounds, both included. */
export function wholeNumber(least: number, most: number): z.ZodNumber {
  return z.number().int().min(least).max(most);
}

/** How many there are, or the networks that they are in: a list, or one alone. */
export const trustedProxies = z.union([
  wholeNumber(0, 10),
  z.array(z.string().refine(isNetwork)).min(1).max(MAX_NETWORKS),
  z
    .string()
    .refine(isNetwork)
    .transform((network): readonly string[] => [network]),
]);
export const origin = parsed(parseOrigin);
export const exactOrigins = z
  .array(z.string().refine((text) => parseOrigin(text) === text))
  .max(200)
  .transform((origins): readonly string[] => [...new Set(origins)]);
export const host = z.string().refine(isHost);
export const database = parsed(parseDatabase);
/** An address to listen on, or null for `off`. */
export const addressOrOff = parsed((text) =>
  text === 'off' ? { address: null } : wrapAddress(parseAddress(text)),
);
/** A switch; gives a boolean. */
export const onOff = z
  .union([z.boolean(), z.enum(['on', 'off'])])
  .transform((value) => value === true || value === 'on');
export const folder = z
  .string()
  .min(1)
  .max(MAX_TEXT)
  .refine((text) => !hasControlCharacters(text));
/** A path, or null for `none`. */
export const fileOrNone = folder.transform((text) => (text === 'none' ? null : text));
/** `local@host`, or `Name <local@host>`; nothing that could end the header or add a second sender. */
export const mailFrom = z
  .string()
  .max(320)
  .refine((text) =>
    isAddress(/^[^<>"(),;:@\\]+ <(?<address>[^<>]+)>$/.exec(text)?.groups?.['address'] ?? text),
  )
  .refine((text) => !hasControlCharacters(text));
export const brandName = z
  .string()
  .trim()
  .regex(/^[^<>"]{1,40}$/u)
  .refine((text) => !hasControlCharacters(text));
/** White text stands on it, and it stands as text on white. */
export const accentColour = z
  .string()
  .regex(/^#[0-9a-f]{6}$/i)
  .transform((text) => text.toLowerCase())
  .refine((colour) => contrastOf(colour, WHITE) >= LEAST_CONTRAST);
/** Names of permissions: which ones there are is told by `rules.ts`, by name. */
export const permissions = z
  .array(
    z
      .string()
      .max(60)
      .meta({ enum: [...PERMISSIONS] }),
  )
  .max(100);
/** RS256 signs what nobody asked otherwise for, ES256 what many ask for: they are always there. */
export const signingAlgorithms = z
  .array(z.enum(['RS256', 'ES256', 'EdDSA']))
  .refine((algorithms) => algorithms.includes('RS256') && algorithms.includes('ES256'))
  .transform((algorithms) => [...new Set(algorithms)]);
export const audience = z.string().regex(/^[\x21-\x7e]{1,255}$/);
export const roles = z
  .record(z.string().regex(/^[a-z][a-z0-9_-]{0,31}$/), wholeNumber(1, 1_000))
  .refine((levels) => Object.keys(levels).length >= 1 && Object.keys(levels).length <= MAX_ROLES)
  .refine((levels) => !Object.keys(levels).some((name) => RESERVED_ROLES.has(name)));
/** What each type of customer may do. */
export const tiers = z
  .record(
    z.string().regex(/^[a-z][a-z0-9_-]{0,31}$/),
    z.strictObject({
      rate_limit: wholeNumber(0, 1_000_000_000),
      api_access_level: z.string().regex(/^[^\p{Cc}\p{Zl}\p{Zp}\p{Cs}]{1,64}$/u),
    }),
  )
  .refine((types) => Object.keys(types).length >= 1 && Object.keys(types).length <= MAX_ROLES)
  .refine((types) => !Object.keys(types).some((name) => RESERVED_ROLES.has(name)))
  .transform(
    (types): Readonly<Record<string, { readonly rateLimit: number; readonly apiAccessLevel: string }>> =>
      Object.fromEntries(
        Object.entries(types).map(([name, { rate_limit: rateLimit, api_access_level: apiAccessLevel }]) => [
          name,
          { rateLimit, apiAccessLevel },
        ]),
      ),
  );

function wrapAddress(address: ListenAddress | null): { readonly address: ListenAddress | null } | null {
  return address === null ? null : { address };
}
