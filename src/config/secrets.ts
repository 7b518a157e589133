/**
 * The secrets of the process: read from the environment, then judged. Production takes strong ones only;
 * development takes what it is given and warns. What is made for development is in `development-secrets.ts`.
 */
import type { ConfigFault } from './faults.ts';
import { KEY_NAMES, parseSecret } from './secret-format.ts';
import type { KeyEnvironment, KeyName, PreviousKeyName } from './secret-format.ts';
import { readSecret } from './secret-sources.ts';
import type { Env, GivenText, SecretReading } from './secret-sources.ts';
import { STRONG_SECRET, areSameSecret, weaknessOf } from './secret-strength.ts';
import { TEST_SECRET } from './test-secret.ts';

export type SecretName = KeyName | PreviousKeyName | 'SMTP_URL' | typeof TEST_SECRET;
export type GivenSecrets = Readonly<Record<SecretName, GivenText | null>>;

interface SecretReadings {
  readonly given: GivenSecrets;
  readonly faults: readonly ConfigFault[];
}

/** Every key that may be given, with what it is or was in use as. */
const KEYS: readonly { readonly name: KeyName | PreviousKeyName; readonly usedAs: KeyName }[] = [
  { name: 'SECRET_KEY', usedAs: 'SECRET_KEY' },
  { name: 'JWT_SECRET_KEY', usedAs: 'JWT_SECRET_KEY' },
  { name: 'SECRET_KEY_PREVIOUS', usedAs: 'SECRET_KEY' },
  { name: 'JWT_SECRET_KEY_PREVIOUS', usedAs: 'JWT_SECRET_KEY' },
];

/** Reads all secrets; one that is not given is null. */
export function readSecrets(env: Env, cwd: string): SecretReadings {
  const read = (name: SecretName): SecretReading => readSecret(name, env, cwd);
  const readings = {
    SECRET_KEY: read('SECRET_KEY'),
    JWT_SECRET_KEY: read('JWT_SECRET_KEY'),
    SECRET_KEY_PREVIOUS: read('SECRET_KEY_PREVIOUS'),
    JWT_SECRET_KEY_PREVIOUS: read('JWT_SECRET_KEY_PREVIOUS'),
    SMTP_URL: read('SMTP_URL'),
    [TEST_SECRET]: read(TEST_SECRET),
  };
  return {
    given: {
      SECRET_KEY: readings.SECRET_KEY.given,
      JWT_SECRET_KEY: readings.JWT_SECRET_KEY.given,
      SECRET_KEY_PREVIOUS: readings.SECRET_KEY_PREVIOUS.given,
      JWT_SECRET_KEY_PREVIOUS: readings.JWT_SECRET_KEY_PREVIOUS.given,
      SMTP_URL: readings.SMTP_URL.given,
      [TEST_SECRET]: readings[TEST_SECRET].given,
    },
    faults: [
      ...Object.values(readings).flatMap(({ faults }) => faults),
      ...smtpFaults(readings.SMTP_URL.given),
    ],
  };
}

/** What production refuses of the secrets that are there, and development warns of. */
export function weakSecretFaults(given: GivenSecrets, environment: KeyEnvironment): readonly ConfigFault[] {
  return [...KEYS.flatMap((key) => weakness(key, given, environment)), ...repeatedFaults(given)];
}

function weakness(
  { name, usedAs }: (typeof KEYS)[number],
  given: GivenSecrets,
  environment: KeyEnvironment,
): readonly ConfigFault[] {
  const secret = given[name];
  if (secret === null) return [];
  const found = weaknessOf(secret.value, usedAs) ?? wrongPlace(secret.value, environment);
  return found === null ? [] : [keyFault(name, secret, found)];
}

/** Two secrets that are the same bits: one that leaks gives both away, and a key that is its own predecessor is none. */
function repeatedFaults(given: GivenSecrets): readonly ConfigFault[] {
  return KEYS.flatMap(({ name }, index) => {
    const secret = given[name];
    if (secret === null) return [];
    const same = KEYS.slice(0, index).find((earlier) => {
      const other = given[earlier.name];
      return other !== null && areSameSecret(other.value, secret.value);
    });
    if (same === undefined) return [];
    return [{ ...keyFault(name, secret, `the same value as ${same.name}`), expected: 'another one' }];
  });
}

/** The faults of the keys that nobody gave. */
export function missingSecretFaults(given: GivenSecrets): readonly ConfigFault[] {
  return KEY_NAMES.filter((name) => given[name] === null).map((name) => keyFault(name, null, 'not set'));
}

function wrongPlace(secret: string, environment: KeyEnvironment): string | null {
  const isMisplaced = environment === 'production' && parseSecret(secret).madeFor === 'development';
  return isMisplaced ? 'a secret that was made for development (pcl_…_dev_)' : null;
}

function keyFault(name: KeyName | PreviousKeyName, given: GivenText | null, found: string): ConfigFault {
  return {
    variable: name,
    path: null,
    source: given?.source ?? { kind: 'missing' },
    found,
    expected: STRONG_SECRET,
    remedy: REMEDIES[name],
  };
}

const toMake = (name: KeyName): string =>
  `Make one with \`portcullis secrets generate --env production\` and set ${name} or ${name}_FILE.`;

const REMEDIES: Readonly<Record<KeyName | PreviousKeyName, string>> = {
  SECRET_KEY: toMake('SECRET_KEY'),
  JWT_SECRET_KEY: toMake('JWT_SECRET_KEY'),
  SECRET_KEY_PREVIOUS:
    'Set it to the SECRET_KEY that was in use before, or unset it where `portcullis keys reencrypt` has run ' +
    '(with NODE_ENV=development it runs with any).',
  JWT_SECRET_KEY_PREVIOUS:
    'Set it to the JWT_SECRET_KEY that was in use before, or unset it: people then sign in again.',
};

function smtpFaults(given: GivenText | null): readonly ConfigFault[] {
  if (given === null || (/^smtps?:\/\/\S+$/i.test(given.value) && URL.canParse(given.value))) return [];
  return [
    {
      variable: 'SMTP_URL',
      path: null,
      source: given.source,
      found: 'a value that cannot be used (not shown: it may hold a password)',
      expected: 'smtp://USER:PASSWORD@HOST:PORT or smtps://…, with %-encoding where the password needs it',
      remedy: 'Set SMTP_URL=smtps://mail.example.com, for example, or unset it.',
    },
  ];
}

/** What production does without where it has no mail server. Development writes its mails to files. */
export const NO_MAIL: ConfigFault = {
  variable: 'SMTP_URL',
  path: null,
  source: { kind: 'missing' },
  found: 'not set, so no mail is sent: nobody can confirm an address, reset a password or be warned',
  expected: 'the address of a mail server',
  remedy: 'Set SMTP_URL=smtps://USER:PASSWORD@mail.example.com, or SMTP_URL_FILE.',
};
