/**
 * How a generated secret looks: `pcl_<kind>_<environment>_<43 base64url characters>`, so 256 random bits and a
 * prefix that says what they are for. Kind is `sk` (SECRET_KEY) or `jk` (JWT_SECRET_KEY), environment `dev` or
 * `prod`: a development secret that was copied to production is recognised, so is one in the other's place, and
 * scanners for leaked secrets have something to look for. Secrets made elsewhere need no prefix.
 */
import { randomBytes } from 'node:crypto';

export const KEY_NAMES = ['SECRET_KEY', 'JWT_SECRET_KEY'] as const;
export type KeyName = (typeof KEY_NAMES)[number];
/** The key that was in use before, while what it encrypted or signed is still around. */
export type PreviousKeyName = `${KeyName}_PREVIOUS`;
export type KeyEnvironment = 'development' | 'production';

const RANDOM_BYTES = 32;
const KINDS = { SECRET_KEY: 'sk', JWT_SECRET_KEY: 'jk' } as const;
const MARKS = { development: 'dev', production: 'prod' } as const;
const FORMAT = /^pcl_(?<kind>sk|jk)_(?<mark>dev|prod)_(?<payload>.*)$/s;

export interface ParsedSecret {
  /** Null where the secret does not say. */
  readonly madeFor: KeyEnvironment | null;
  readonly madeAs: KeyName | null;
  /** What must be random. */
  readonly payload: string;
}

/** Makes one secret of 256 random bits. */
export function generateSecret(name: KeyName, environment: KeyEnvironment): string {
  return `pcl_${KINDS[name]}_${MARKS[environment]}_${randomBytes(RANDOM_BYTES).toString('base64url')}`;
}

/** Makes both. */
export function generateSecrets(environment: KeyEnvironment): Readonly<Record<KeyName, string>> {
  return {
    SECRET_KEY: generateSecret('SECRET_KEY', environment),
    JWT_SECRET_KEY: generateSecret('JWT_SECRET_KEY', environment),
  };
}

/** Both as the lines of an env file, each ended by a line feed. */
export function toEnvLines(secrets: Readonly<Record<KeyName, string>>): string {
  return KEY_NAMES.map((name) => `${name}=${secrets[name]}\n`).join('');
}

/** Reads the prefix of a secret, where it has one. */
export function parseSecret(secret: string): ParsedSecret {
  const { kind, mark, payload } = FORMAT.exec(secret)?.groups ?? {};
  if (payload === undefined) return { madeFor: null, madeAs: null, payload: secret };
  return {
    madeFor: mark === MARKS.development ? 'development' : 'production',
    madeAs: kind === KINDS.SECRET_KEY ? 'SECRET_KEY' : 'JWT_SECRET_KEY',
    payload,
  };
}
