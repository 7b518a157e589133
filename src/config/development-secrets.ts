/**
 * The secrets of a development installation, for which nobody wants to set anything up: made at the first start
 * and kept in VAR_DIR/development-secrets. What the store holds is encrypted under them, so a file that cannot be
 * read is a fault; it is never made again.
 */
import { randomUUID } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';

import type { ConfigFault } from './faults.ts';
import { generateSecrets, toEnvLines } from './secret-format.ts';
import type { KeyName } from './secret-format.ts';
import { errorCode } from './secret-sources.ts';

const FILE_NAME = 'development-secrets';
const HEADER =
  '# Secrets of this development installation; production refuses them. Its data is encrypted under them.\n';

export type DevelopmentSecrets =
  | { readonly ok: true; readonly file: string; readonly secrets: Readonly<Record<KeyName, string>> | null }
  | { readonly ok: false; readonly fault: ConfigFault };

/** Reads them; where there are none yet, `secrets` is null. */
export function readDevelopmentSecrets(varFolder: string): DevelopmentSecrets {
  const file = path.join(varFolder, FILE_NAME);
  try {
    return parseFile(file, fs.readFileSync(file, 'utf8'));
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return { ok: true, file, secrets: null };
    return failed(file, `the file cannot be read (${errorCode(error)})`, 'Let this user read it.');
  }
}

/** Makes them where there are none; of processes that start at once one wins, and all use its secrets. */
export function ensureDevelopmentSecrets(varFolder: string): DevelopmentSecrets {
  const present = readDevelopmentSecrets(varFolder);
  if (!present.ok || present.secrets !== null) return present;
  try {
    createWhole(present.file, HEADER + toEnvLines(generateSecrets('development')));
  } catch (error) {
    const remedy =
      'Let this user write there, or set SECRET_KEY and JWT_SECRET_KEY (portcullis secrets generate).';
    return failed(present.file, `the file cannot be made (${errorCode(error)})`, remedy);
  }
  return readDevelopmentSecrets(varFolder);
}

/** Creates the file with all of its text or not at all; somebody else's stays. */
function createWhole(file: string, text: string): void {
  makeFolder(path.dirname(file));
  const draft = `${file}.${randomUUID()}`;
  try {
    fs.writeFileSync(draft, text, { flag: 'wx', mode: 0o600, flush: true });
    giveName(draft, file);
  } catch (error) {
    if (errorCode(error) !== 'EEXIST') throw error;
  } finally {
    fs.rmSync(draft, { force: true });
  }
}

/** Unlike a rename it fails where the name is taken. Not every file system has links: there it is a copy. */
function giveName(draft: string, file: string): void {
  try {
    fs.linkSync(draft, file);
  } catch (error) {
    if (errorCode(error) === 'EEXIST') throw error;
    fs.copyFileSync(draft, file, fs.constants.COPYFILE_EXCL);
  }
}

/** Not `recursive`: Node loops for ever where the system says ENOENT to a folder whose parent is there (/proc). */
function makeFolder(folder: string): void {
  try {
    fs.mkdirSync(folder, { mode: 0o700 });
  } catch (error) {
    if (errorCode(error) !== 'EEXIST') throw error;
  }
}

function parseFile(file: string, text: string): DevelopmentSecrets {
  const secretKey = /^SECRET_KEY=(\S+)$/m.exec(text)?.[1];
  const jwtSecretKey = /^JWT_SECRET_KEY=(\S+)$/m.exec(text)?.[1];
  if (secretKey === undefined || jwtSecretKey === undefined) {
    const remedy =
      'Bring the file back; or, if what the development store holds may go, delete the file and the store together.';
    return failed(file, 'the file does not hold both secrets', remedy);
  }
  return { ok: true, file, secrets: { SECRET_KEY: secretKey, JWT_SECRET_KEY: jwtSecretKey } };
}

function failed(file: string, found: string, remedy: string): DevelopmentSecrets {
  const expected = 'lines SECRET_KEY=… and JWT_SECRET_KEY=…, as made at the first start';
  const source = { kind: 'development secrets', file } as const;
  return { ok: false, fault: { variable: 'SECRET_KEY', path: null, source, found, expected, remedy } };
}
