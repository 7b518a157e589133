/** `portcullis backup`: takes a backup while the server runs, checks one, and gives the passphrase of all. */
import { resolve } from 'node:path';

import type { Command } from 'commander';

import { backupPassphrase, sumOf, takeBackup, verifyBackup } from '../composition/administration-backup.ts';
import type { BackupOutcome, Contents, Counts } from '../composition/administration-backup.ts';
import { shellWord } from '../composition/administration.ts';
import type { Config, Secrets } from '../config.ts';
import { AppError, messageOf } from '../errors.ts';
import { addStoreCommand, withSettings } from './administer.ts';
import { nearest } from '../config/spelling.ts';
import { naming, readFrom, writeNewFile } from './backup-file.ts';
import {
  countsDocument,
  describeCounts,
  findingsDocument,
  showProgress,
  tellFindings,
} from './backup-report.ts';
import { EXIT, printJson } from './io.ts';
import type { Io } from './io.ts';

const STANDARD_OUTPUT = '-';
const OUTPUT = '--output <file>';
const WHAT_OUTPUT_IS = 'a new file, made with mode 0600; - for standard output';

interface Options {
  readonly json?: true;
}

interface TakeOptions extends Options {
  readonly output: string;
}

/** Adds the noun. */
export function registerBackupCommands(program: Command, io: Io): void {
  const parent = program
    .command('backup')
    .description('take an encrypted backup of the whole store, while the server runs');
  const example = 'portcullis backup --output /var/backups/portcullis-$(date +%F).age';
  addStoreCommand(parent, 'create', 'take one; this is what backup does without a verb', { isDefault: true })
    .requiredOption(OUTPUT, WHAT_OUTPUT_IS)
    .addHelpText('after', `\nExample:\n  ${example}`)
    .action((options: TakeOptions, command: Command) => {
      if (options.output.trim() === '')
        command.error('error: --output is empty: name a new file, or - for standard output');
      const isPiped = options.output === STANDARD_OUTPUT;
      if (isPiped && options.json === true)
        command.error('error: with --output - standard output is the backup: leave --json out');
      if (isPiped && io.isTerminal('out'))
        command.error('error: a backup is no text for a terminal: give --output a file, or pipe it on');
      return withSettings(io, command, (...settings) =>
        isPiped ? take(io, settings) : takeToFile(io, settings, options),
      );
    });
  parent
    .hook('preSubcommand', assertVerb)
    .addHelpText('after', `\nWithout a verb:\n  ${OUTPUT}  ${WHAT_OUTPUT_IS}\n\nExample:\n  ${example}`);
  addVerify(parent, io);
  addPassphrase(parent, io);
}

/** What is no verb would go to `create`, which would say only that its option is missing. */
function assertVerb(noun: Command): void {
  const word = noun.args.find((arg) => arg !== '--json') ?? '-';
  const verbs = noun.commands.map((verb) => verb.name());
  if (word.startsWith('-') || verbs.includes(word)) return;
  const near = nearest(word, verbs);
  const advice =
    near === null
      ? `: a backup goes to the file that --output names, such as --output ${shellWord(word)}`
      : `\n(Did you mean ${near}?)`;
  noun.error(`error: unknown command '${word}'${advice}`, { code: 'commander.unknownCommand' });
}

function addVerify(parent: Command, io: Io): void {
  addStoreCommand(parent, 'verify <file>', 'read a backup to its end; exit code 1 where anything is wrong')
    .addHelpText('after', '\nExample:\n  portcullis backup verify /var/backups/portcullis-2026-01-31.age')
    .action((file: string, { json }: Options, command: Command) =>
      withSettings(io, command, async (_config, secrets) => {
        const contents = await check(io, secrets, resolve(io.cwd, file));
        if (json === true) printJson(io, toDocument(file, contents));
        else io.out(describe(file, contents));
        if (contents.findings.faults.length > 0) io.setExitCode(EXIT.failed);
      }),
    );
}

function addPassphrase(parent: Command, io: Io): void {
  addStoreCommand(parent, 'passphrase', 'print the passphrase with which any age opens the backups')
    .addHelpText(
      'after',
      '\nIt is derived from SECRET_KEY, and as secret: who has it reads every backup of this installation.\n' +
        '\nExample:\n  portcullis backup passphrase\n  age --decrypt portcullis-2026-01-31.age | gunzip | head',
    )
    .action(({ json }: Options, command: Command) =>
      withSettings(io, command, async (_config, secrets) => {
        const passphrase = backupPassphrase(secrets);
        if (json === true) printJson(io, { passphrase });
        else io.out(`${passphrase}\n`);
      }),
    );
}

type Settings = readonly [Config, Secrets];

async function takeToFile(io: Io, [config, secrets]: Settings, { output, json }: TakeOptions): Promise<void> {
  const file = resolve(io.cwd, output);
  const told = showProgress(io);
  const onProgress = (counts: Counts): void => told('writing', counts);
  const [outcome, contents] = await writeNewFile(
    file,
    (write) => takeBackup(config, secrets, { to: file, write, onProgress }),
    (source) => verifyBackup(secrets, source, told),
  );
  tellRecorded(io, outcome);
  tellFindings(io, contents.findings);
  if (json === true) printJson(io, toDocument(file, contents));
  else io.out(`Wrote ${file} (mode 0600) and read it back: ${sum(contents)}.\n`);
}

/** It cannot be read back here. */
async function take(io: Io, [config, secrets]: Settings): Promise<void> {
  const write = (bytes: Uint8Array): Promise<void> =>
    io.outBytes(bytes).catch((cause: unknown) => {
      throw new AppError(
        'invalid_request',
        `Standard output took only a part of it (${messageOf(cause)}): it is no backup.`,
      );
    });
  const told = showProgress(io);
  const onProgress = (counts: Counts): void => told('writing', counts);
  const outcome = await takeBackup(config, secrets, { to: 'standard output', write, onProgress });
  tellRecorded(io, outcome);
  io.err(
    `Wrote ${sumOf(outcome.counts)} records. Check it where it arrived, by portcullis backup verify FILE.\n`,
  );
}

const tellRecorded = (io: Io, { isRecorded }: BackupOutcome): void => {
  if (!isRecorded) io.err('The audit log cannot be written just now, so it has no record of this backup.\n');
};

async function check(io: Io, secrets: Secrets, file: string): Promise<Contents> {
  const contents = await naming(
    file,
    verifyBackup(secrets, () => readFrom(file), showProgress(io)),
  );
  tellFindings(io, contents.findings);
  return contents;
}

const describe = (file: string, contents: Contents): string =>
  contents.findings.faults.length > 0
    ? `${file} is whole and unchanged, but what it holds does not go together: ${sum(contents)}.\n`
    : `${file} is whole and unchanged: ${sum(contents)}.\n`;

const sum = ({ header, counts }: Contents): string =>
  `${sumOf(counts)} records of ${header.issuer} as of ${header.createdAt} (${describeCounts(counts)})`;

const toDocument = (file: string, { header, counts, findings }: Contents): object => ({
  file,
  created_at: header.createdAt,
  issuer: header.issuer,
  store: header.storeKind,
  portcullis: header.portcullis,
  records: sumOf(counts),
  counts: countsDocument(counts),
  ...findingsDocument(findings),
});
