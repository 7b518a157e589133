/** The file of a private key that somebody named: its text, what to do where it has none, and who else may read it. */
import fs from 'node:fs';
import path from 'node:path';

import { readKeyFile, shellWord } from '../composition/administration.ts';
import { isOpenToOthers } from '../config/production.ts';
import type { Io } from './io.ts';

/** `kind` is what kind of key is wanted, `make` the command that makes one, up to its file. Throws a sentence. */
export const readPrivateKeyFile = (
  io: Pick<Io, 'cwd'>,
  file: string,
  { kind, make }: { readonly kind: string; readonly make: string },
): string =>
  readKeyFile(
    path.resolve(io.cwd, file),
    file,
    `Name a file with ${kind} in PEM form, or make one: ${make} -out NEW.pem`,
    `Name a file with ${kind} in PEM form, or make this one: ${make} -out ${shellWord(file)}`,
  );

/** Warns on standard error where the start of a production server would refuse the file. */
export function warnOfMode(io: Pick<Io, 'cwd' | 'err'>, file: string): void {
  const found = fs.statSync(path.resolve(io.cwd, file), { throwIfNoEntry: false });
  if (found !== undefined && isOpenToOthers(found.mode))
    io.err(`${file} can be read or changed by others: chmod 600 ${shellWord(file)}\n`);
}
