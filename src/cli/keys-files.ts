/** `portcullis keys import` and `keys export`: keys from PEM files and to them. */
import fs from 'node:fs';
import path from 'node:path';

import type { Command } from 'commander';

import type { Administration, KeyView } from '../composition/administration.ts';
import { administer } from './administer.ts';
import { fail, printJson, unwritable } from './io.ts';
import type { Io } from './io.ts';
import type { AddVerb } from './noun.ts';
import { readPrivateKeyFile, warnOfMode } from './private-key-file.ts';

type Keys = Administration['keys'];

const WANTED = {
  kind: 'a private key',
  make: 'openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048',
};

interface ExportOptions {
  readonly jwk?: true;
  readonly private?: true;
  readonly output?: string;
  readonly json?: true;
}

/** Adds both. */
export function registerKeyFiles(io: Io, add: AddVerb): void {
  add(
    'import <file>',
    'add a private key in PEM form, as those of the keys folder; it signs once everybody knows it',
    'portcullis keys import main-2026.pem --kid main-2026',
  )
    .option('--kid <kid>', 'its name; the name of the file without .pem where it is not given')
    .action((file: string, options: { kid?: string; json?: true }, command: Command) => {
      const pem = readFile(io, file);
      if (pem === null) return undefined;
      const kid = options.kid ?? path.basename(file, '.pem');
      return administer(io, command, async ({ keys }) => {
        tellAdded(io, options.json, await keys.import(pem, file, kid), 'imported');
        warnOfMode(io, file);
      });
    });
  add(
    'export <kid>',
    'print the public key in PEM form; the private one goes to a new file only',
    'portcullis keys export KID --jwk',
  )
    .option('--jwk', 'as a JSON Web Key')
    .option('--private', 'the private key; it needs --output')
    .option('--output <file>', 'write it to a new file with mode 0600')
    .action((kid: string, options: ExportOptions, command: Command) => {
      if (options.private === true && (options.output === undefined || options.jwk === true))
        command.error('error: a private key goes in PEM form to a new file, named by --output');
      if (options.output === '-' || options.output === '')
        command.error(`error: ${noFileName(options.output, options.private === true)}`);
      return administer(io, command, ({ keys }) => exportKey(io, keys, kid, options));
    });
}

const noFileName = (output: string, isPrivate: boolean): string =>
  `--output: "${output}" is no file name here: name a new file` +
  (isPrivate ? '' : ', or leave --output out for standard output');

/** Tells of a key that was just added. */
export function tellAdded(io: Io, json: true | undefined, key: KeyView, done: string): void {
  if (json === true) printJson(io, { ...key, done });
  else io.out(`${key.alg}: ${key.kid}: ${done}. It signs from ${key.signs_from ?? ''} on.\n`);
}

function readFile(io: Io, file: string): string | null {
  try {
    return readPrivateKeyFile(io, file, WANTED);
  } catch (error) {
    if (!Error.isError(error)) throw error;
    fail(io, error.message);
    return null;
  }
}

async function exportKey(io: Io, keys: Keys, kid: string, options: ExportOptions): Promise<void> {
  const { output, json, jwk: isJwk, private: isPrivate } = options;
  const { alg, pem, jwk } = await keys.exportPublic(kid);
  const text = isJwk === true ? `${JSON.stringify(jwk, null, 2)}\n` : pem;
  if (output !== undefined) {
    const file = path.resolve(io.cwd, output);
    // The file first: a private key that has no place to go is not opened, and no record says that it was.
    const isWritten = await writeNewFile(io, file, async () =>
      isPrivate === true ? keys.exportPrivate(kid) : text,
    );
    if (isWritten && json === true) printJson(io, { kid, alg, file, private: isPrivate === true });
    else if (isWritten)
      io.out(`Wrote ${isPrivate === true ? 'the private key ' : ''}${kid} to ${file} (mode 0600).\n`);
  } else if (json === true) printJson(io, { kid, alg, ...(isJwk === true ? { jwk } : { pem }) });
  else io.out(text);
}

async function writeNewFile(io: Io, file: string, read: () => Promise<string>): Promise<boolean> {
  let handle: number;
  try {
    handle = fs.openSync(file, 'wx', 0o600);
  } catch (error) {
    fail(io, unwritable(file, error));
    return false;
  }
  try {
    fs.writeFileSync(handle, await read(), { flush: true });
    return true;
  } catch (error) {
    fs.rmSync(file, { force: true });
    throw error;
  } finally {
    fs.closeSync(handle);
  }
}
