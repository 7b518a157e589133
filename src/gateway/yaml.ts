/**
 * YAML of a configuration: what it is about as a comment, then the document, in which every text stays a text, also for
 * those who read YAML 1.1, where `no` is a boolean.
 */
import { stringify } from 'yaml';

/** Writes it. */
export const toYaml = (about: string, document: object): string =>
  `${about.replaceAll(/^/gm, '# ')}\n${stringify(document, { lineWidth: 0, aliasDuplicateObjects: false, compat: 'yaml-1.1' })}`;

/** A list of texts in Lua; they are printable ASCII, whose JSON means the same there. */
export const luaList = (texts: readonly string[]): string =>
  `{ ${texts.map((text) => JSON.stringify(text)).join(', ')} }`;
