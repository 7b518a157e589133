/** Secrets as they are shown: a terminal is recorded, shared and looked at over a shoulder. Pure. */

const HIDDEN: ReadonlySet<string> = new Set(['password', 'new_password', 'current_password']);
const SHORTENED: ReadonlySet<string> = new Set(['access_token', 'refresh_token', 'token', 'secret']);
const SHOWN_CHARACTERS = 8;

export const PASSWORD_DOTS = '••••••••';

/** The beginning of a secret: enough to tell two of them apart. */
export const shortSecret = (secret: string): string =>
  secret.length <= SHOWN_CHARACTERS ? secret : `${secret.slice(0, SHOWN_CHARACTERS)}…`;

/** The same value with every secret in it shortened; `key` is the name it has itself. */
export function shorten(value: unknown, key = ''): unknown {
  if (typeof value === 'string') {
    if (HIDDEN.has(key)) return PASSWORD_DOTS;
    return SHORTENED.has(key) ? shortSecret(value) : value;
  }
  if (Array.isArray(value)) return value.map((item) => shorten(item));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, part]) => [name, shorten(part, name)]));
}

/** A credential in a header. */
export const shortenHeader = (name: string, value: string): string => {
  if (name === 'Authorization') return value.replace(/(?<=^Bearer )\S+/, shortSecret);
  return name === 'X-API-Key' ? shortSecret(value) : value;
};

/** A link whose token is shortened. */
export const shortenLink = (link: string): string =>
  link.replace(/(?<=[?&]token=)[^&#]+/, (token) => shortSecret(token));
