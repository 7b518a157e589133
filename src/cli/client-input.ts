/** What was typed of a client, as the fields that administration knows, and its faults in the words of the options. */
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';

import { fail, unreadable } from './io.ts';
import type { Io } from './io.ts';

export const KEY_METHOD = 'private_key_jwt';
/** The options that say something of a client, as commander names them. */
export const FIELDS = ['scope', 'name', 'authMethod', 'jwks'] as const;

/** The fields of the options; null where the file of keys cannot be read, which is told. */
export function readClientInput(
  io: Io,
  options: Readonly<Record<string, unknown>>,
): Readonly<Record<string, unknown>> | null {
  const { scope, name, authMethod, jwks: file } = options;
  const jwks = typeof file === 'string' ? readKeys(io, file) : undefined;
  return jwks === null ? null : { scope, client_name: name, token_endpoint_auth_method: authMethod, jwks };
}

function readKeys(io: Io, file: string): unknown {
  let text: string;
  try {
    text = readFileSync(resolve(io.cwd, file), 'utf8');
  } catch (error) {
    fail(io, unreadable(file, error));
    return null;
  }
  try {
    const keys: unknown = JSON.parse(text);
    if (keys !== null) return keys;
  } catch {
    // told below
  }
  fail(io, `${file} is no JSON: give a JWK set, {"keys": [{"kty": "EC", …}]}, of public keys.`);
  return null;
}

/** Without what was not given; but a client that leaves private_key_jwt leaves its keys behind. */
export function given(input: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const method = input['token_endpoint_auth_method'];
  const fields = Object.fromEntries(Object.entries(input).filter(([, value]) => value !== undefined));
  return method === undefined || method === KEY_METHOD || fields['jwks'] !== undefined
    ? fields
    : { ...fields, jwks: undefined };
}

const OPTION_OF: Readonly<Record<string, string>> = {
  scope: '--scope',
  name: '--name',
  client_name: '--name',
  token_endpoint_auth_method: '--auth-method',
  jwks: '--jwks',
};

/** A fault by the option that people typed instead of the field's name. */
export const byOption = (fault: string): string =>
  fault.replace(/^[a-z_]+/, (field) =>
    Object.hasOwn(OPTION_OF, field) ? (OPTION_OF[field] ?? field) : field,
  );
