/**
 * How a value is shown to people: short, on one line, without the credentials that a URL may carry. Every value
 * that reaches a fault or a listing passes here, since a secret pasted into the wrong variable is still a secret.
 */

const MAX_SHOWN_CHARACTERS = 60;
const HIDDEN = '***';
const SHOWN_OPTIONS = new Set([
  'replicaset',
  'authsource',
  'tls',
  'ssl',
  'w',
  'retrywrites',
  'directconnection',
]);
const DATABASE_SCHEMES =
  /^(postgres(?:ql)?|mysql|mariadb|redis|mssql|file|https?|sqlite|mongodb(?:\+srv)?):/i;

/** A URL without its user info, and without the values of options that are not known to be harmless. */
export function redactUrl(url: string): string {
  // The last @ ends the user info, also where a password holds an @ or / that somebody forgot to encode.
  const withoutUser = url.replace(/:\/\/.*@/s, `://${HIDDEN}@`);
  return withoutUser.replace(/([?&;])([^=&;]*)=([^&;]*)/g, (pair: string, mark: string, name: string) =>
    SHOWN_OPTIONS.has(name.toLowerCase()) ? pair : `${mark}${name}=${HIDDEN}`,
  );
}

/** True where a URL has user info, or an option named for a password or token. */
export function holdsPassword(url: string): boolean {
  return /:\/\/.*@/s.test(url) || /[?&;][^=]*(?:password|token|secret)[^=]*=/i.test(url);
}

/** A value as a fault shows it: cut, redacted, text in quotes. */
export function showValue(value: unknown): string {
  if (value === undefined || value === null || value === '') return 'nothing';
  return typeof value === 'string' ? JSON.stringify(cut(hide(value))) : cut(hide(JSON.stringify(value)));
}

/** What a database URL that was refused may tell: its scheme, where it is a known one. */
export function showScheme(value: unknown): string {
  const scheme = typeof value === 'string' ? DATABASE_SCHEMES.exec(value)?.[1] : undefined;
  return scheme === undefined
    ? 'a value that is no database URL (not shown: it may hold a password)'
    : `a ${scheme}: URL that cannot be used (not shown: it may hold a password)`;
}

/** Hides user info, also of a URL whose scheme is missing, and secrets of our own making. */
function hide(text: string): string {
  const redacted = text.includes('://') ? redactUrl(text) : text.replace(/^.*@/s, `${HIDDEN}@`);
  return redacted.replaceAll(/pcl_[\w-]*/g, `pcl_${HIDDEN}`);
}

function cut(text: string): string {
  return text.length <= MAX_SHOWN_CHARACTERS ? text : `${text.slice(0, MAX_SHOWN_CHARACTERS)}…`;
}
