/** Keys and files that are not what they seem: what a folder of keys or a command line may be given. */
import { execFileSync } from 'node:child_process';
import { createPrivateKey, generateKeyPairSync } from 'node:crypto';
import type { JsonWebKey } from 'node:crypto';
import { mkdirSync, symlinkSync } from 'node:fs';

const newJwk = (type: 'ec' | 'rsa'): JsonWebKey =>
  (type === 'ec'
    ? generateKeyPairSync('ec', { namedCurve: 'P-256' })
    : generateKeyPairSync('rsa', { modulusLength: 2048 })
  ).privateKey.export({ format: 'jwk' });

/** A private JWK with the public part of another key. */
export function damagedJwk(type: 'ec' | 'rsa'): JsonWebKey {
  const { kty, crv, x, y, n, e } = newJwk(type);
  const others = Object.entries({ kty, crv, x, y, n, e }).filter(([, value]) => value !== undefined);
  return { ...newJwk(type), ...Object.fromEntries(others) };
}

/** Such a key in PEM form: it parses. */
export const damagedPem = (type: 'ec' | 'rsa'): string =>
  createPrivateKey({ key: damagedJwk(type), format: 'jwk' })
    .export({ format: 'pem', type: 'pkcs8' })
    .toString();

/** What is no file, by its name; each makes it at a path. */
export const NO_FILES: readonly (readonly [string, (path: string) => void, RegExp])[] = [
  ['a pipe', (path) => execFileSync('mkfifo', [path]), /\.pem is no key: it is a pipe\. \w/],
  ['a folder', (path) => mkdirSync(path), /\.pem is no key: it is a folder\. \w/],
  ['a device', (path) => symlinkSync('/dev/zero', path), /\.pem is no key: it is a device, not a file\. \w/],
  [
    'a link to nothing',
    (path) => symlinkSync('nowhere', path),
    /\.pem cannot be read \(it is a link to a file that is not there\)\. \w/,
  ],
];
