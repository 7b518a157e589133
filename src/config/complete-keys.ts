/** Joins the keys that somebody gave with those that a development installation made for itself. */
import type { DevelopmentSecrets } from './development-secrets.ts';
import type { ConfigFault, Source } from './faults.ts';
import { KEY_NAMES } from './secret-format.ts';
import type { KeyName } from './secret-format.ts';
import type { GivenSecrets } from './secrets.ts';

type CompleteKeys =
  | { readonly ok: true; readonly secrets: Readonly<Record<KeyName, string>> }
  | { readonly ok: false; readonly fault: ConfigFault };

/** Both keys: as given, the missing ones of those that `kept` answers. It is not called where none is missing. */
export function completeKeys(given: GivenSecrets, kept: () => DevelopmentSecrets): CompleteKeys {
  const { SECRET_KEY: secretKey, JWT_SECRET_KEY: jwtSecretKey } = given;
  if (secretKey !== null && jwtSecretKey !== null) {
    return { ok: true, secrets: { SECRET_KEY: secretKey.value, JWT_SECRET_KEY: jwtSecretKey.value } };
  }
  const made = kept();
  if (!made.ok) return made;
  if (made.secrets === null) throw new Error('the development secrets vanished while they were made');
  return {
    ok: true,
    secrets: {
      SECRET_KEY: secretKey?.value ?? made.secrets.SECRET_KEY,
      JWT_SECRET_KEY: jwtSecretKey?.value ?? made.secrets.JWT_SECRET_KEY,
    },
  };
}

/** Where each key comes from; `kept` is null in production, where none are kept. */
export function keySources(
  given: GivenSecrets,
  kept: DevelopmentSecrets | null,
): Readonly<Record<KeyName, Source>> {
  const otherwise: Source =
    kept?.ok === true && kept.secrets !== null
      ? { kind: 'development secrets', file: kept.file }
      : { kind: 'missing' };
  const [secretKey, jwtSecretKey] = KEY_NAMES.map((name) => given[name]?.source ?? otherwise);
  return { SECRET_KEY: secretKey ?? otherwise, JWT_SECRET_KEY: jwtSecretKey ?? otherwise };
}
