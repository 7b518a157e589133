/**
 * Where secrets come from: a variable NAME, or a file that NAME_FILE names (as Docker and Kubernetes mount them).
 * Never from the settings file and never from a flag, which every user of the machine can read. A fault here
 * tells neither the secret nor what stands in NAME_FILE unless that is evidently a path.
 */
import fs from 'node:fs';
import path from 'node:path';

import type { ConfigFault, Source } from './faults.ts';

const MAX_FILE_BYTES = 65_536;

export type Env = Readonly<Record<string, string | undefined>>;

export interface GivenText {
  readonly value: string;
  readonly source: Source;
}

export interface SecretReading {
  readonly given: GivenText | null;
  readonly faults: readonly ConfigFault[];
}

/** Reads NAME, or the file that NAME_FILE names; an empty variable counts as not set. */
export function readSecret(name: string, env: Env, cwd: string): SecretReading {
  const inline = env[name]?.trim() ?? '';
  const file = env[`${name}_FILE`]?.trim() ?? '';
  if (inline !== '' && file !== '') return refused(bothSet(name));
  if (inline !== '') return { given: { value: inline, source: { kind: 'environment', name } }, faults: [] };
  return file === '' ? { given: null, faults: [] } : readSecretFile(name, file, path.resolve(cwd, file));
}

function readSecretFile(name: string, shown: string, file: string): SecretReading {
  const variable = `${name}_FILE`;
  const expected = `a readable file that holds the value of ${name} alone`;
  const refuse = (found: string, remedy: string): SecretReading =>
    refused({
      variable,
      path: null,
      source: { kind: 'environment', name: variable },
      found,
      expected,
      remedy,
    });

  const text = readSmallFile(file);
  if (typeof text === 'object') {
    const what = isEvidentlyPath(shown, file)
      ? file
      : 'a file (its name is not shown: it may be the secret itself)';
    return refuse(
      `${what} cannot be read (${text.code})`,
      `Set ${variable} to the path of a file that this user may read.`,
    );
  }
  const value = text.trim();
  if (value === '') return refuse(`${file} is empty`, `Write the value of ${name} into it.`);
  if (/[\r\n]/.test(value)) {
    return refuse(
      `${file} holds several lines`,
      `Keep the value alone in it, without ${name}= and without comments.`,
    );
  }
  return { given: { value, source: { kind: 'secret file', name: variable, file } }, faults: [] };
}

/** The text of a file of moderate size, or why there is none. */
function readSmallFile(file: string): string | { readonly code: string } {
  try {
    const stat = fs.statSync(file);
    if (stat.isDirectory()) return { code: 'EISDIR' };
    if (stat.size > MAX_FILE_BYTES) return { code: 'larger than 64 KiB' };
    return fs.readFileSync(file, 'utf8');
  } catch (error) {
    return { code: errorCode(error) };
  }
}

/** The system's code of an error, such as ENOENT. */
export function errorCode(error: unknown): string {
  const isCoded =
    typeof error === 'object' && error !== null && 'code' in error && typeof error.code === 'string';
  return isCoded ? String(error.code) : 'unknown error';
}

/** People put the secret itself into NAME_FILE: its text is shown only where its folder exists and is not the root. */
function isEvidentlyPath(shown: string, file: string): boolean {
  const parent = path.dirname(file);
  return shown.includes('/') && parent !== path.parse(file).root && fs.existsSync(parent);
}

function bothSet(name: string): ConfigFault {
  return {
    variable: name,
    path: null,
    source: { kind: 'environment', name: `${name} and ${name}_FILE` },
    found: 'both are set',
    expected: 'one of the two',
    remedy: `Unset ${name} or ${name}_FILE.`,
  };
}

function refused(fault: ConfigFault): SecretReading {
  return { given: null, faults: [fault] };
}
