/**
 * A node's settings from its environment, under the names that nodes have: an environment file carries over. Every
 * fault is told at once. The environment is an argument; this reads nothing of the process.
 */
import { assertSecure } from '../guard/address.ts';
import type { NodeCredential } from './authentication.ts';

/** What the client, the validator and the test tokens are made of. */
export interface NodeSettings extends NodeCredential {
  readonly clientId: string;
  readonly tokenUrl: URL;
  readonly vpnAuthUrl: URL;
  readonly scope: string;
  readonly issuer: string;
  readonly audience: string;
  readonly jwks: URL;
  /** `NODE_ENV`; where it is not set, this is production. */
  readonly environment: string;
  /** Of test tokens; undefined where none are taken. */
  readonly testSecret: string | undefined;
}

export type Environment = Readonly<Record<string, string | undefined>>;

/** The names, and where an address lies at a Portcullis server. */
const ADDRESSES = {
  PORTBRO_TOKEN_URL: '/token',
  PORTBRO_VPN_AUTH_URL: '/vpn/auth',
  PARENT_JWKS_URL: '/jwks',
} as const;
const REQUIRED = ['PORTBRO_CLIENT_ID', 'PORTBRO_CLIENT_SECRET', 'PARENT_ISSUER'] as const;
/** In the place of the secret. */
const KEY_FILE = 'PORTBRO_PRIVATE_KEY_FILE';

/**
 * Reads `PORTBRO_CLIENT_ID`, `PORTBRO_CLIENT_SECRET` or `PORTBRO_PRIVATE_KEY_FILE`, `PARENT_ISSUER`, and where they are set `PORTBRO_TOKEN_URL`,
 * `PORTBRO_VPN_AUTH_URL`, `PARENT_JWKS_URL` (by themselves those of the issuer), `PORTBRO_SCOPE` (read),
 * `PARENT_AUDIENCE` (vpn-node), `VPN_TEST_SECRET`, `NODE_ENV`. Throws a TypeError that names each fault in a line.
 */
export function readNodeSettings(env: Environment): NodeSettings {
  const given = withoutEmpty(env);
  assertComplete(given);
  const { PORTBRO_CLIENT_ID = '', PORTBRO_CLIENT_SECRET, PARENT_ISSUER = '' } = given;
  const [tokenUrl, vpnAuthUrl, jwks] = readAddresses(given, PARENT_ISSUER);
  return {
    clientId: PORTBRO_CLIENT_ID,
    clientSecret: PORTBRO_CLIENT_SECRET,
    privateKeyFile: given[KEY_FILE],
    tokenUrl,
    vpnAuthUrl,
    scope: given['PORTBRO_SCOPE'] ?? 'read',
    issuer: PARENT_ISSUER,
    audience: given['PARENT_AUDIENCE'] ?? 'vpn-node',
    jwks,
    environment: given['NODE_ENV'] ?? 'production',
    testSecret: given['VPN_TEST_SECRET'],
  };
}

function assertComplete(given: Environment): void {
  const hasKey = given[KEY_FILE] !== undefined;
  const missing = REQUIRED.filter(
    (name) => given[name] === undefined && !(hasKey && name === 'PORTBRO_CLIENT_SECRET'),
  );
  if (missing.length > 0) {
    throw new TypeError(missing.map((name) => `${name} is not set: the node needs it.`).join('\n'));
  }
  if (hasKey && given['PORTBRO_CLIENT_SECRET'] !== undefined) {
    throw new TypeError(`PORTBRO_CLIENT_SECRET and ${KEY_FILE} are both set: a node has one of them.`);
  }
}

/** A line such as `NAME=` in an environment file sets nothing. */
const withoutEmpty = (env: Environment): Environment =>
  Object.fromEntries(Object.entries(env).filter(([, value]) => value !== ''));

type Addresses = readonly [tokenUrl: URL, vpnAuthUrl: URL, jwks: URL];

function readAddresses(env: Environment, issuer: string): Addresses {
  const faults: string[] = [];
  const read = (name: string, text: string, base?: string): URL => {
    try {
      const url = new URL(text, base);
      assertSecure(url);
      return url;
    } catch {
      faults.push(`${name} is no address that can be trusted: use https, or http on loopback.`);
      return LOST;
    }
  };
  const base = read('PARENT_ISSUER', issuer);
  const readOne = (name: keyof typeof ADDRESSES): URL => read(name, env[name] ?? ADDRESSES[name], base.href);
  const addresses: Addresses = [
    readOne('PORTBRO_TOKEN_URL'),
    readOne('PORTBRO_VPN_AUTH_URL'),
    readOne('PARENT_JWKS_URL'),
  ];
  if (faults.length > 0) throw new TypeError(faults.join('\n'));
  return addresses;
}

/** Stands where a fault was told; nobody gets to see it. */
const LOST = new URL('https://invalid.invalid');
