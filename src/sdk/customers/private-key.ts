/** The private key that signs: a P-256 key in PEM form. Whatever else is given is named, with the way to a right one. */
import { createPrivateKey, createPublicKey, sign, verify } from 'node:crypto';
import type { KeyObject } from 'node:crypto';

import { CustomerError } from './errors.ts';

const CURVE = 'prime256v1'; // as OpenSSL calls P-256

const EXPECTED = 'expected an EC private key on the curve P-256 in PEM form, for ES256.';

// Each writes to a file that is not there: the one at hand may be the only copy of a key.
const orMake = (name: string): string =>
  `${name}, or make a key in a new one: openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out NEW.pem`;
const MAKE_ONE = orMake('Name another file');
const NAME_THE_PRIVATE_ONE = orMake('Name the file of its private key');

/** Reads PKCS #8 and SEC1 alike. Throws a {@link CustomerError} that says what was found and what was expected. */
export function readPrivateKey(pem: string): KeyObject {
  const strange = strangeText(pem);
  if (strange !== null) throw notAKey(...strange);
  const key = parse(pem);
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = key;
  if (type === 'ec' && details?.namedCurve === CURVE) {
    if (isWhole(key)) return key;
    throw notAKey('a damaged key, whose public part belongs to another private part');
  }
  throw notAKey(
    type === 'ec'
      ? `an EC key on the curve ${details?.namedCurve ?? 'unknown'}`
      : `${type === 'rsa' ? 'an RSA' : `a key of type ${type ?? 'unknown'}, not an EC`} key`,
  );
}

/** Whether the public part verifies what the private part signs: in a PEM they stand side by side. */
function isWhole(key: KeyObject): boolean {
  const probe = Buffer.from('a key that signs');
  try {
    return verify('sha256', probe, createPublicKey(key), sign('sha256', probe, key));
  } catch {
    return false; // such a key does not even sign
  }
}

/** A text that is no such key: what it is, and what to do. */
type Strange = readonly [found: string, remedy?: string];

const NO_PEM: Strange = ['no PEM (it has no line "-----BEGIN PRIVATE KEY-----")'];

/** The first that is found counts. */
const STRANGE: readonly (readonly [RegExp, Strange | null])[] = [
  [/^\s*$/, ['nothing']],
  [/^\s*[{[]/, ['a JSON Web Key (JSON) in the place of a PEM']],
  [
    /-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----[^]*-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----/,
    ['more than one private key', orMake('Name a file with one')],
  ],
  [
    /-----BEGIN (?:ENCRYPTED PRIVATE KEY|[^-]+-----\s+Proc-Type: 4,ENCRYPTED)/,
    [
      'a private key under a passphrase',
      'Write it to a new file without one, and name that: openssl pkey -in FILE -out NEW.pem',
    ],
  ],
  [/-----BEGIN OPENSSH PRIVATE KEY-----/, ['a private key of OpenSSH']],
  [/-----BEGIN CERTIFICATE-----/, ['a certificate', NAME_THE_PRIVATE_ONE]],
  [/-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----/, null],
  [/-----BEGIN (?:[A-Z]+ )?PUBLIC KEY-----/, ['a public key, which cannot sign', NAME_THE_PRIVATE_ONE]],
];

function strangeText(text: string): Strange | null {
  const known = STRANGE.find(([pattern]) => pattern.test(text));
  return known === undefined ? NO_PEM : known[1];
}

function parse(pem: string): KeyObject {
  try {
    return createPrivateKey(pem);
  } catch (cause) {
    throw notAKey('a PEM that is damaged', MAKE_ONE, cause);
  }
}

const notAKey = (found: string, remedy = MAKE_ONE, cause?: unknown): CustomerError =>
  new CustomerError('ERR_CUSTOMER_KEY_INVALID', `found ${found}; ${EXPECTED} ${remedy}`, { cause });
