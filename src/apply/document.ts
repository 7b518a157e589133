/**
 * An apply file: YAML or JSON read strictly, each fault told with its path and line. Secrets given as
 * `{ env: NAME }` are taken from the environment before anything is checked.
 */
import { isMap, isPair, isScalar, LineCounter, parseDocument } from 'yaml';
import type { Document } from 'yaml';
import { z } from 'zod';
import type { ZodType } from 'zod';

import { readInput } from '../input-words.ts';

/** One fault; `line` counts from 1. */
export interface DocumentFault {
  readonly path: string;
  readonly line: number;
  readonly message: string;
}

export type ReadDocument<T> =
  | { readonly ok: true; readonly value: T; readonly fault: MakeFault }
  | { readonly ok: false; readonly faults: readonly DocumentFault[] };

/** Tells a fault at a path of the document by the line where it stands. */
export type MakeFault = (path: readonly PropertyKey[], message: string) => DocumentFault;

type Environment = Readonly<Record<string, string | undefined>>;

// Aliases that expand into each other are how a small file fills the memory.
const MAX_ALIASES = 100;
// The parser's own messages quote the file, and secrets stand in it.
const YAML_FAULTS: Readonly<Record<string, string>> = {
  DUPLICATE_KEY: 'this key stands there twice',
  MULTIPLE_DOCS: 'a second YAML document begins here: one is read',
  RESOURCE_EXHAUSTION: 'this is nested too deep',
  TAB_AS_INDENT: 'this line is indented by a tab: use spaces',
};
const SECRET_FIELDS: ReadonlySet<PropertyKey | undefined> = new Set([
  'client_secret',
  'secret',
  'password',
  'password_hash',
]);
const Reference = z.strictObject({ env: z.string().min(1) });

/** Reads `text` against a strict schema. */
export function readDocument<T>(text: string, schema: ZodType<T>, env: Environment): ReadDocument<T> {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, uniqueKeys: true, prettyErrors: false });
  if (document.errors.length > 0) {
    const faults = document.errors.map(({ code, pos }) => ({
      path: '',
      line: lines.linePos(pos[0]).line,
      message: YAML_FAULTS[code] ?? 'this line is no valid YAML',
    }));
    // The parser may find many things wrong with one line.
    const isFirstOfLine = ({ line }: DocumentFault, index: number): boolean =>
      faults.findIndex((fault) => fault.line === line) === index;
    return { ok: false, faults: faults.filter(isFirstOfLine) };
  }
  const fault: MakeFault = (path, message) => ({
    path: formatPath(path),
    line: lineOf(document, lines, path),
    message,
  });
  let value: unknown;
  try {
    value = document.toJS({ maxAliasCount: MAX_ALIASES });
  } catch (error) {
    return { ok: false, faults: [fault([], Error.isError(error) ? error.message : 'unreadable')] };
  }
  const missing: DocumentFault[] = [];
  const resolved = resolve(value, env, [], (path, name) => {
    missing.push(fault(path, `the environment has no ${name}: export it before you run this command`));
  });
  if (missing.length > 0) return { ok: false, faults: missing };
  const read = readInput(schema, resolved ?? {});
  if (read.ok) return { ok: true, value: read.value, fault };
  return { ok: false, faults: read.faults.map(({ path, message }) => fault(path, message)) };
}

/** Replaces each `{ env: NAME }` by the variable's value. */
function resolve(
  value: unknown,
  env: Environment,
  path: readonly PropertyKey[],
  onMissing: (path: readonly PropertyKey[], name: string) => void,
): unknown {
  if (Array.isArray(value))
    return value.map((item, index) => resolve(item, env, [...path, index], onMissing));
  if (typeof value !== 'object' || value === null) return value;
  // Anywhere else it would carry a secret of the environment into a field that people read.
  const reference = SECRET_FIELDS.has(path.at(-1)) ? Reference.safeParse(value) : { success: false as const };
  if (!reference.success) {
    const entries = Object.entries(value).map(([key, item]) => [
      key,
      resolve(item, env, [...path, key], onMissing),
    ]);
    return Object.fromEntries(entries);
  }
  const found = Object.hasOwn(env, reference.data.env) ? env[reference.data.env] : undefined;
  if (found === undefined) onMissing(path, reference.data.env);
  return found;
}

function lineOf(document: Document, lines: LineCounter, path: readonly PropertyKey[]): number {
  for (let length = path.length; length > 0; length -= 1) {
    const position = positionOf(document, path.slice(0, length));
    if (position !== undefined) return lines.linePos(position).line;
  }
  return 1;
}

/** Where the key (or the item of a list) stands. */
function positionOf(document: Document, path: readonly PropertyKey[]): number | undefined {
  const parent = document.getIn(path.slice(0, -1), true);
  const key = path.at(-1);
  if (isMap(parent)) {
    const pair = parent.items.find((item) => isPair(item) && isScalar(item.key) && item.key.value === key);
    if (pair !== undefined && isScalar(pair.key)) return pair.key.range?.[0];
  }
  const node = document.getIn(path, true);
  return typeof node === 'object' && node !== null && 'range' in node && Array.isArray(node.range)
    ? Number(node.range[0])
    : undefined;
}

const formatPath = (path: readonly PropertyKey[]): string =>
  path
    .map((part) => (typeof part === 'number' ? `[${part}]` : `.${String(part)}`))
    .join('')
    .replace(/^\./, '');
