/**
 * The settings file: YAML in, one entry a setting out with the line it stands on. What the file may hold is
 * decided by the table in `settings.ts`, what YAML it may be written in by `yaml-syntax.ts`.
 */
import fs from 'node:fs';
import { LineCounter, isMap, isScalar, parseDocument } from 'yaml';
import type { Document, ParsedNode, YAMLMap } from 'yaml';

import type { ConfigFault } from './faults.ts';
import { lineFor } from './refusals.ts';
import { KEY_NAMES } from './secret-format.ts';
import { errorCode } from './secret-sources.ts';
import { SETTINGS, SETTING_NAMES } from './settings.ts';
import { nearest } from './spelling.ts';
import { TEST_SECRET } from './test-secret.ts';
import { checkSyntax, fileFault } from './yaml-syntax.ts';

const MAX_FILE_BYTES = 65_536;
const PATHS = SETTING_NAMES.map((name): string => SETTINGS[name].path);
const SECTIONS = new Set(
  PATHS.filter((path) => path.includes('.')).map((path) => path.slice(0, path.indexOf('.'))),
);
const SECRET_VARIABLES = [
  ...KEY_NAMES.flatMap((name) => [name, `${name}_PREVIOUS`]),
  'SMTP_URL',
  TEST_SECRET,
];

export interface FileEntry {
  readonly value: unknown;
  readonly line: number;
}

export interface SettingsFile {
  readonly file: string;
  /** By the setting's path. */
  readonly entries: ReadonlyMap<string, FileEntry>;
  readonly faults: readonly ConfigFault[];
}

interface Reading {
  readonly document: Document.Parsed;
  readonly file: string;
  readonly entries: Map<string, FileEntry>;
  readonly faults: ConfigFault[];
  readonly lineOf: (offset: number | undefined) => number;
}

/** Reads the settings file; `isOptional` allows it to be absent. */
export function readSettingsFile(file: string, isOptional: boolean): SettingsFile {
  const text = readText(file);
  if (typeof text === 'string') return parseSettings(file, text);
  if (text.code === 'ENOENT' && isOptional) return { file, entries: new Map(), faults: [] };
  const found = `the file cannot be read (${text.code})`;
  const remedy = 'Give the path of a settings file that this user may read by --config or CONFIG_FILE.';
  const fault = fileFault(file, null, found, 'a YAML file of at most 64 KiB in UTF-8', remedy);
  return { file, entries: new Map(), faults: [fault] };
}

function readText(file: string): string | { readonly code: string } {
  try {
    if (fs.statSync(file).size > MAX_FILE_BYTES) return { code: 'larger than 64 KiB' };
    return new TextDecoder('utf-8', { fatal: true }).decode(fs.readFileSync(file));
  } catch (error) {
    return { code: errorCode(error) };
  }
}

function parseSettings(file: string, text: string): SettingsFile {
  const lineCounter = new LineCounter();
  const document = parseDocument(text, { lineCounter, prettyErrors: false });
  const lineOf = (offset: number | undefined): number => lineCounter.linePos(offset ?? 0).line;
  const { faults, isReadable } = checkSyntax(document, file, lineOf);
  const reading: Reading = { document, file, entries: new Map(), faults: [...faults], lineOf };

  if (isReadable) readRoot(reading);
  return { file, entries: reading.entries, faults: reading.faults };
}

function readRoot(reading: Reading): void {
  const { contents } = reading.document;
  if (contents === null || (isScalar(contents) && contents.value === null)) return;
  if (isMap(contents)) {
    readMapping(contents, '', reading);
    return;
  }
  const remedy = 'Write settings as lines like `port: 8011`; `portcullis config schema` prints all of them.';
  reading.faults.push(
    fileFault(
      reading.file,
      reading.lineOf(contents.range[0]),
      'something else',
      'a mapping of settings',
      remedy,
    ),
  );
}

function readMapping(mapping: YAMLMap.Parsed, prefix: string, reading: Reading): void {
  for (const { key, value } of mapping.items) {
    const path = prefix + (isScalar(key) ? String(key.value) : '(a key that is no text)');
    const line = reading.lineOf(key.range[0]);
    if (PATHS.includes(path)) {
      reading.entries.set(path, { value: value === null ? null : plain(value, reading.document), line });
    } else if (SECTIONS.has(path)) {
      readSection(value, path, line, reading);
    } else {
      reading.faults.push(unknownKey(path, reading.file, line));
    }
  }
}

function readSection(value: ParsedNode | null, path: string, line: number, reading: Reading): void {
  if (isMap(value)) {
    readMapping(value, `${path}.`, reading);
    return;
  }
  if (value === null || (isScalar(value) && value.value === null)) return; // its settings are all commented out
  const inside = SETTING_NAMES.find((name) => SETTINGS[name].path.startsWith(`${path}.`));
  const example = inside === undefined ? '' : `, such as \`  ${lineFor(inside)}\``;
  const remedy = `Indent the settings of ${path} below it${example}.`;
  reading.faults.push({
    ...fileFault(reading.file, line, 'something else', 'a mapping', remedy),
    variable: path,
    path,
  });
}

function plain(node: ParsedNode, document: Document.Parsed): unknown {
  const value: unknown = node.toJS(document);
  return value;
}

function unknownKey(path: string, file: string, line: number): ConfigFault {
  const secret = SECRET_VARIABLES.find((name) => name === path.toUpperCase().replaceAll('-', '_'));
  if (secret !== undefined) {
    const remedy = `Remove it here and set ${secret}, or ${secret}_FILE, in the environment; then replace it, since it was written down.`;
    return {
      ...fileFault(file, line, 'a secret in the settings file', 'none there', remedy),
      variable: secret,
    };
  }
  const near = nearest(path, [...PATHS, ...SECTIONS]);
  const remedy =
    near === null ? 'Remove it; `portcullis config schema` prints all settings.' : `Did you mean ${near}?`;
  const shown = JSON.stringify(path.length > 60 ? `${path.slice(0, 60)}…` : path);
  return {
    ...fileFault(file, line, `there is no setting ${shown}`, 'a known setting', remedy),
    variable: shown,
  };
}
