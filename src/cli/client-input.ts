/** What was typed of a client, as the fields that administration knows, and its faults in the words of the options. */
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';

import { fail, unreadable } from './io.ts';
import type { Io } from './io.ts';

export const KEY_METHOD = 'private_key_jwt';
/** The options that say something of a client, as commander names them. */
export const FIELDS = [
  ...['scope', 'name', 'authMethod', 'jwks', 'serviceAccount', 'customer', 'redirectUri', 'deviceSignIn'],
] as const;

/** The fields of the options; null where the file of keys cannot be read, which is told. */
export function readClientInput(
  io: Io,
  options: Readonly<Record<string, unknown>>,
): Readonly<Record<string, unknown>> | null {
  const { scope, name, authMethod, jwks: file, serviceAccount, customer } = options;
  const jwks = typeof file === 'string' ? readKeys(io, file) : undefined;
  if (jwks === null) return null;
  return {
    ...{ scope, client_name: name, jwks, service_account: serviceAccount, customer },
    token_endpoint_auth_method: authMethod,
  };
}

/** The same of a VPN node. */
export const nodeInput = ({
  name,
  authMethod,
  redirectUri,
  deviceSignIn,
}: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> => ({
  ...{ name, token_endpoint_auth_method: authMethod },
  ...{ redirect_uris: redirectUri, device_sign_in: deviceSignIn },
});

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

/** Without what was not given; but keys take the place of others, and who leaves private_key_jwt leaves them behind. */
export function given(input: Readonly<Record<string, unknown>>, isVpnNode: boolean): Record<string, unknown> {
  const fields = Object.fromEntries(Object.entries(input).filter(([, value]) => value !== undefined));
  const untied = ['service_account', 'customer'].filter((name) => fields[name] === '');
  return {
    ...fields,
    ...(isVpnNode ? {} : keysLeft(fields)),
    ...Object.fromEntries(untied.map((name) => [name, undefined])),
  };
}

function keysLeft(fields: Readonly<Record<string, unknown>>): Record<string, undefined> {
  if (fields['jwks'] !== undefined) return { jwks_uri: undefined };
  const method = fields['token_endpoint_auth_method'];
  return method === undefined || method === KEY_METHOD ? {} : { jwks: undefined, jwks_uri: undefined };
}

const OPTION_OF: Readonly<Record<string, string>> = {
  scope: '--scope',
  name: '--name',
  client_name: '--name',
  token_endpoint_auth_method: '--auth-method',
  jwks: '--jwks',
  service_account: '--service-account',
  customer: '--customer',
  redirect_uris: '--redirect-uri',
  device_sign_in: '--device-sign-in',
};

/** A fault by the option that people typed instead of the field's name. */
export const byOption = (fault: string): string =>
  fault.replace(/^[a-z_]+/, (field) =>
    Object.hasOwn(OPTION_OF, field) ? (OPTION_OF[field] ?? field) : field,
  );
