/** `portcullis audit`: list, export and verify the audit log. Nothing changes or deletes a record. */
import { open, rm } from 'node:fs/promises';
import { resolve } from 'node:path';

import { InvalidArgumentError, Option } from 'commander';
import type { Command } from 'commander';

import { AUDIT_ACTIONS, AUDIT_ACTORS, AUDIT_KINDS, toAuditView } from '../composition/administration.ts';
import type { Administration, AuditFilter, AuditView, Verification } from '../composition/administration.ts';
import { AppError, isAppError } from '../errors.ts';
import { administer } from './administer.ts';
import { EXIT, fail, printJson, unwritable } from './io.ts';
import type { Io } from './io.ts';
import { addPaging, addVerbTo, printPage } from './noun.ts';
import type { PageOptions } from './noun.ts';

const PAGE = 50;
const EXPORT_PAGE = 500;

/** As in `account:ID`. */
const KIND_IDS = AUDIT_KINDS.map((kind) => `${kind}:ID`).join(', ');

type Audit = Administration['audit'];

interface FilterOptions extends AuditFilter {
  readonly json?: true;
}

interface ListOptions extends FilterOptions, PageOptions {
  readonly oldestFirst?: true;
}

/** Adds the noun. */
export function registerAuditCommands(program: Command, io: Io): void {
  const parent = program
    .command('audit')
    .description('read the audit log: who did what to whom, and whether it is as it was written');
  const add = addVerbTo(parent);
  addPaging(
    addFilter(add('list', 'list records, the newest first', 'portcullis audit list --action account.lock')),
    'seq',
    { limit: PAGE, parse: seqText },
  )
    .option('--oldest-first', 'begin with the oldest')
    .action((options: ListOptions, command: Command) =>
      administer(io, command, async (administration) =>
        list(io, administration.audit, { ...options, ...(await named(administration, options)) }),
      ),
    );
  addFilter(
    add(
      'export',
      'write all records, the oldest first, a JSON object a line; with --json as one document',
      'portcullis audit export --from 2026-01-01T00:00:00Z --output audit.ndjson',
    ),
  )
    .option('--output <file>', 'write them to a new file with mode 0600 instead of printing them')
    .action((options: FilterOptions & { output?: string }, command: Command) =>
      administer(io, command, async (administration) =>
        exportAll(io, administration.audit, { ...options, ...(await named(administration, options)) }),
      ),
    );
  add(
    'verify',
    'check every record and the chain between them; exit code 1 where something is wrong',
    'portcullis audit verify --known 1024:kq3…\n\n' +
      'The chain cannot tell that its newest records are gone. Note the number and hash that it prints somewhere\n' +
      'else (the log of the server has them, too, as audit_reached) and give them by --known the next time.',
  )
    .addOption(new Option('--known <seq:hash>', 'a record that was noted before').argParser(knownRecord))
    .action((options: { known?: Known; json?: true }, command: Command) =>
      administer(io, command, ({ audit }) => verify(io, audit, options)),
    );
}

const addFilter = (command: Command): Command =>
  command
    .option('--actor <actor>', `by whom: a username, ${AUDIT_ACTORS.join(', ')}, or ${KIND_IDS}`)
    .addOption(new Option('--action <action>', 'what was done').choices(AUDIT_ACTIONS))
    .option('--target <target>', `to whom: a username, or ${KIND_IDS}`)
    .addOption(
      new Option('--from <time>', 'from this time on, such as 2026-01-31T12:00:00Z').argParser(instant),
    )
    .addOption(new Option('--until <time>', 'before this time').argParser(instant));

/** The filter with the accounts that usernames stand for. */
async function named(
  { users }: Administration,
  { actor, target }: AuditFilter,
): Promise<Pick<AuditFilter, 'actor' | 'target'>> {
  const subjectOf = async (text: string, option: string): Promise<string> => {
    if (AUDIT_KINDS.some((kind) => text.startsWith(`${kind}:`))) return text;
    try {
      return `account:${(await users.show(text)).id}`;
    } catch (error) {
      if (!isAppError(error, 'not_found')) throw error;
      const sentence = `There is no user "${text}": give ${option} a username, or ${KIND_IDS} (of a deleted user, too).`;
      throw new AppError('not_found', sentence, { cause: error });
    }
  };
  const isOther = actor === undefined || AUDIT_ACTORS.some((known) => known === actor);
  return {
    actor: isOther ? actor : await subjectOf(actor, '--actor'),
    target: target === undefined ? target : await subjectOf(target, '--target'),
  };
}

function instant(text: string): number {
  const at = Date.parse(text);
  if (/^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d))?$/.test(text) && !Number.isNaN(at))
    return Math.floor(at / 1_000);
  throw new InvalidArgumentError('Expected a date, or a time with its zone, such as 2026-01-31T12:00:00Z.');
}

function seqText(text: string): string {
  if (/^\d{1,15}$/.test(text)) return text;
  throw new InvalidArgumentError('Expected the number of a record.');
}

type Known = Parameters<Audit['verify']>[0];

function knownRecord(text: string): Known {
  const [, seq, hash] = /^(\d{1,15}):([\w-]{43})$/.exec(text) ?? [];
  if (seq !== undefined && hash !== undefined) return { seq: Number(seq), hash };
  throw new InvalidArgumentError('Expected the number and the hash of a record, as NUMBER:HASH.');
}

const filterOf = ({ actor, action, target, from, until }: AuditFilter): AuditFilter => ({
  ...{ actor, action, target, from, until },
});

async function list(io: Io, audit: Audit, options: ListOptions): Promise<void> {
  const { limit, after, oldestFirst } = options;
  const order = oldestFirst === true ? 'oldest' : 'newest';
  const page = await audit.list({ limit, after }, filterOf(options), order);
  const views = { ...page, items: page.items.map(toAuditView) };
  printPage(io, views, options, { none: 'There are none.', head: HEAD, rowOf: toRow });
}

const HEAD = ['SEQ', 'TIME', 'ACTOR', 'ACTION', 'TARGET', 'FROM', 'DETAILS'];

const toRow = ({ seq, at, actor, action, target, ip, details }: AuditView): readonly string[] => [
  String(seq),
  at,
  actor,
  action,
  target ?? '',
  ip ?? '',
  // Names come from people, and are shown in a terminal.
  JSON.stringify(details).replaceAll(/\p{C}/gu, '?'),
];

async function exportAll(
  io: Io,
  audit: Audit,
  options: FilterOptions & { readonly output?: string },
): Promise<void> {
  const { output, json } = options;
  if (output !== undefined) {
    await exportToFile(io, audit, output, options);
    return;
  }
  const isDocument = json === true;
  let count = 0;
  if (isDocument) io.out('{ "items": [');
  for await (const record of readAll(audit, options)) {
    const line = JSON.stringify(record);
    io.out(isDocument ? `${count === 0 ? '' : ','}\n${line}` : `${line}\n`);
    count += 1;
  }
  if (isDocument) io.out('\n] }\n');
}

async function exportToFile(io: Io, audit: Audit, output: string, options: FilterOptions): Promise<void> {
  const file = resolve(io.cwd, output);
  const handle = await open(file, 'wx', 0o600).catch((error: unknown) => {
    fail(io, unwritable(file, error));
    return null;
  });
  if (handle === null) return;
  let records = 0;
  try {
    for await (const record of readAll(audit, options)) {
      await handle.appendFile(`${JSON.stringify(record)}\n`);
      records += 1;
    }
    await handle.sync();
  } catch (error) {
    await rm(file, { force: true }); // half of it is no export, and the next one would be refused for it
    throw error;
  } finally {
    await handle.close();
  }
  if (options.json === true) printJson(io, { file, records });
  else io.out(`Wrote ${records} records to ${file} (mode 0600).\n`);
}

async function* readAll(audit: Audit, options: AuditFilter): AsyncGenerator<AuditView> {
  for (let after: string | null | undefined; after !== null;) {
    const page = await audit.list({ after, limit: EXPORT_PAGE }, filterOf(options), 'oldest');
    yield* page.items.map(toAuditView);
    after = page.next;
  }
}

async function verify(
  io: Io,
  audit: Audit,
  { known = null, json }: { readonly known?: Known; readonly json?: true },
): Promise<void> {
  const found = await audit.verify(known);
  if (json === true) printJson(io, found);
  else if (found.ok) io.out(intact(found));
  if (found.ok) return;
  io.err(`The audit log is not as it was written: ${found.message}.\n`);
  io.setExitCode(EXIT.failed);
}

const intact = ({ records, head }: Extract<Verification, { ok: true }>): string =>
  head === null
    ? 'The audit log is empty.\n'
    : `${records} records, none changed and none missing between them. The newest: ${head.seq}:${head.hash}\n`;
