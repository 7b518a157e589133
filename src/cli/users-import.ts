/** `portcullis users import FILE`: users of another system from NDJSON, with progress, refused lines and a sum. */
import { open } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { resolve } from 'node:path';

import type { Command } from 'commander';

import type { Administration, ImportCounts, ImportLine, RefusedLine } from '../composition/administration.ts';
import { administer } from './administer.ts';
import { EXIT, fail, printJson, unreadable } from './io.ts';
import type { Io } from './io.ts';
import type { AddVerb } from './noun.ts';

/** A user takes a few hundred; a line without end would fill the memory. */
const MAX_LINE_BYTES = 65_536;
const PROGRESS_LINES = 1_000;
const PROGRESS_MS = 2_000;
const LINE_FEED = 0x0a;

/** Adds `users import`. */
export function registerUsersImport(io: Io, add: AddVerb): void {
  add(
    'import <file>',
    'make users of a file with a JSON object a line; refused lines are told and the others made',
    'portcullis users import people.ndjson\n\n' +
      'A line: {"username": "ada", "email": "ada@example.com", "password_hash": "$2b$12$…"}\n' +
      'Fields: username, email, email_verified, full_name, password or password_hash (argon2, bcrypt,\n' +
      'pbkdf2_sha256$… of Django, $scrypt$ln=…), role, roles, disabled.',
  ).action(async (file: string, options: { json?: true }, command: Command) => {
    const handle = await openFile(io, file);
    if (handle === null) return;
    try {
      await administer(io, command, ({ users }) => run(io, users, { file, handle }, options.json === true));
    } finally {
      await handle.close();
    }
  });
}

interface Source {
  /** As it was typed. */
  readonly file: string;
  readonly handle: FileHandle;
}

async function openFile(io: Io, file: string): Promise<FileHandle | null> {
  try {
    const handle = await open(resolve(io.cwd, file));
    if (!(await handle.stat()).isDirectory()) return handle;
    await handle.close();
    fail(io, `${file} is a folder: name a file with a JSON object a line.`);
  } catch (error) {
    fail(io, unreadable(file, error));
  }
  return null;
}

async function run(
  io: Io,
  users: Administration['users'],
  { file, handle }: Source,
  isJson: boolean,
): Promise<void> {
  const refusals: RefusedLine[] = [];
  const onRefused = (refused: RefusedLine): void => {
    for (const { path, message } of refused.errors)
      io.err(`${file}:${refused.line}: ${path === '' ? '' : `${path}: `}${message}\n`);
    if (isJson) refusals.push(refused);
  };
  const lines = splitLines(handle.createReadStream({ autoClose: false }));
  const counts = await users.import(lines, onRefused, showProgress(io));
  if (isJson) printJson(io, { ...counts, refusals });
  else io.out(`${counts.read} read, ${counts.created} created, ${counts.refused} refused.\n`);
  if (counts.refused > 0) io.setExitCode(EXIT.failed);
}

/** Tells the sum so far, every thousand lines or two seconds. */
function showProgress(io: Io): (counts: ImportCounts) => void {
  let told = { lines: 0, at: Date.now() };
  return ({ read, created, refused }) => {
    if (read - told.lines < PROGRESS_LINES && Date.now() - told.at < PROGRESS_MS) return;
    told = { lines: read, at: Date.now() };
    io.err(`${read} read, ${created} created, ${refused} refused so far.\n`);
  };
}

/** The lines of a byte stream, each with its number; of one that is too long no more than that is kept. */
async function* splitLines(chunks: AsyncIterable<unknown>): AsyncGenerator<ImportLine> {
  let number = 1;
  let kept: Buffer[] = [];
  let bytes = 0;
  const add = (part: Buffer): void => {
    bytes += part.length;
    if (bytes <= MAX_LINE_BYTES) kept.push(part);
  };
  const take = (): ImportLine => {
    const text = bytes <= MAX_LINE_BYTES ? decode(Buffer.concat(kept)) : null;
    const line = { number, text };
    [number, kept, bytes] = [number + 1, [], 0];
    return line;
  };

  for await (const chunk of chunks) {
    let rest = chunk as Buffer; // a byte stream gives nothing else
    for (let end = rest.indexOf(LINE_FEED); end !== -1; end = rest.indexOf(LINE_FEED)) {
      add(rest.subarray(0, end));
      yield take();
      rest = rest.subarray(end + 1);
    }
    add(rest);
  }
  yield take();
}

/** Bytes that are no UTF-8 make a name of somebody else, so the line becomes one that is no JSON. */
function decode(bytes: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes); // it drops a byte order mark
  } catch {
    return '\uFFFD';
  }
}
