/**
 * The keys of a JSON text, as `JSON.parse` no longer tells them: one that comes twice, of which another reader could
 * take the other value (RFC 8259 4), and those by which an object's own methods are replaced.
 */
import { AppError } from '../errors.ts';

/** A text, or a sign of the structure; of valid JSON all else is numbers, words and space. */
const TOKENS = /"(?:[^"\\]|\\.)*"|[{}[\]:]/g;
const FORBIDDEN: ReadonlySet<string> = new Set(['__proto__', 'constructor', 'prototype']);
const SHOWN_CHARACTERS = 60;

/** Refuses such keys. `text` is valid JSON. */
export function assertPlainKeys(text: string): void {
  /** The keys of each object that is open. */
  const open: Set<string>[] = [];
  let last = '';
  for (const [token] of text.matchAll(TOKENS)) {
    if (token === '{' || token === '[') open.push(new Set());
    else if (token === '}' || token === ']') open.pop();
    else if (token === ':') addKey(open.at(-1), String(JSON.parse(last)));
    else last = token;
  }
}

function addKey(keys: Set<string> | undefined, key: string): void {
  if (FORBIDDEN.has(key) || keys?.has(key) === true) {
    const shown = key.slice(0, SHOWN_CHARACTERS);
    const fault = FORBIDDEN.has(key) ? `may not have the key "${shown}"` : `has the key "${shown}" twice`;
    throw new AppError('invalid_request', `The body ${fault}.`);
  }
  keys?.add(key);
}
