/**
 * The secrets of the process: read from the environment, then judged. Production takes strong ones only;
 * development takes what it is given and warns. What is made for development is in `development-secrets.ts`.
 */
import type { ConfigFault } from './faults.ts';
import { KEY_NAMES, parseSecret } from './secret-format.ts';
import type { KeyEnvironment, KeyName } from './secret-format.ts';
import { readSecret } from './secret-sources.ts';
import type { Env, GivenText } from './secret-sources.ts';
import { STRONG_SECRET, areSameSecret, weaknessOf } from './secret-strength.ts';

export type SecretName = KeyName | 'SMTP_URL';
export type GivenSecrets = Readonly<Record<SecretName, GivenText | null>>;

interface SecretReadings {
  readonly given: GivenSecrets;
  readonly faults: readonly ConfigFault[];
}

/** Reads all secrets; one that is not given is null. */
export function readSecrets(env: Env, cwd: string): SecretReadings {
  const [secretKey, jwtSecretKey, smtpUrl] = [
    readSecret('SECRET_KEY', env, cwd),
    readSecret('JWT_SECRET_KEY', env, cwd),
    readSecret('SMTP_URL', env, cwd),
  ] as const;
  return {
    given: { SECRET_KEY: secretKey.given, JWT_SECRET_KEY: jwtSecretKey.given, SMTP_URL: smtpUrl.given },
    faults: [...secretKey.faults, ...jwtSecretKey.faults, ...smtpUrl.faults, ...smtpFaults(smtpUrl.given)],
  };
}

/** What production refuses of the secrets that are there, and development warns of. */
export function weakSecretFaults(given: GivenSecrets, environment: KeyEnvironment): readonly ConfigFault[] {
  const weak = KEY_NAMES.flatMap((name) => {
    const secret = given[name];
    const weakness =
      secret === null ? null : (weaknessOf(secret.value, name) ?? wrongPlace(secret.value, environment));
    return secret === null || weakness === null ? [] : [keyFault(name, secret, weakness)];
  });
  const [one, other] = [given.SECRET_KEY, given.JWT_SECRET_KEY];
  if (one === null || other === null || !areSameSecret(one.value, other.value)) return weak;
  return [
    ...weak,
    { ...keyFault('JWT_SECRET_KEY', other, 'the same value as SECRET_KEY'), expected: 'another one' },
  ];
}

/** The faults of the keys that nobody gave. */
export function missingSecretFaults(given: GivenSecrets): readonly ConfigFault[] {
  return KEY_NAMES.filter((name) => given[name] === null).map((name) => keyFault(name, null, 'not set'));
}

function wrongPlace(secret: string, environment: KeyEnvironment): string | null {
  const isMisplaced = environment === 'production' && parseSecret(secret).madeFor === 'development';
  return isMisplaced ? 'a secret that was made for development (pcl_…_dev_)' : null;
}

function keyFault(name: KeyName, given: GivenText | null, found: string): ConfigFault {
  return {
    variable: name,
    path: null,
    source: given?.source ?? { kind: 'missing' },
    found,
    expected: STRONG_SECRET,
    remedy: `Make one with \`portcullis secrets generate --env production\` and set ${name} or ${name}_FILE.`,
  };
}

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
