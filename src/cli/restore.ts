/** `portcullis restore FILE`: fills an empty store, of either kind, from a backup. */
import { resolve } from 'node:path';

import type { Command } from 'commander';

import { restoreBackup, sumOf } from '../composition/administration-backup.ts';
import { storeNameOf } from '../config.ts';
import type { Config, Secrets } from '../config.ts';
import { addStoreCommand, withSettings } from './administer.ts';
import { naming, readFrom } from './backup-file.ts';
import {
  countsDocument,
  describeCounts,
  findingsDocument,
  showProgress,
  tellFindings,
} from './backup-report.ts';
import { EXIT, printJson } from './io.ts';
import type { Io } from './io.ts';

/** Adds `restore`. */
export function registerRestoreCommand(program: Command, io: Io): void {
  addStoreCommand(
    program,
    'restore <file>',
    'fill an empty store, the one that DATABASE_URL names, from a backup',
  )
    .addHelpText(
      'after',
      '\nThe whole backup is checked before the first record is written. Needed is the SECRET_KEY of the backup;\n' +
        'with another one now, give that one as SECRET_KEY_PREVIOUS. Do not start the server before this is done.\n' +
        '\nExample:\n  DATABASE_URL=sqlite:var/restored.db portcullis restore portcullis-2026-01-31.age',
    )
    .action((file: string, options: { json?: true }, command: Command) =>
      withSettings(io, command, (config, secrets) =>
        run(io, { config, secrets, file }, options.json === true),
      ),
    );
}

interface Asked {
  readonly config: Config;
  readonly secrets: Secrets;
  readonly file: string;
}

async function run(io: Io, { config, secrets, file }: Asked, isJson: boolean): Promise<void> {
  const path = resolve(io.cwd, file);
  const restored = await naming(
    path,
    restoreBackup(secrets, () => readFrom(path), showProgress(io)),
  );
  const { header, counts, findings, began, isRecorded } = restored;
  const store = storeNameOf(config);
  if (began === 'anew') io.err('The store held a restore that was cut: it was emptied first.\n');
  if (header.issuer !== config.issuer)
    io.err(
      `The backup is of ${header.issuer}, and this installation is ${config.issuer}: its clients know the former.\n`,
    );
  if (!isRecorded) io.err('The audit log could not be written, so it has no record of this restore.\n');
  tellFindings(io, findings);
  if (isJson)
    printJson(io, {
      ...{ file, store, created_at: header.createdAt, issuer: header.issuer },
      ...{ records: sumOf(counts), counts: countsDocument(counts), ...findingsDocument(findings) },
    });
  else
    io.out(
      `Restored ${sumOf(counts)} records as of ${header.createdAt} to ${store} (${describeCounts(counts)}).\n` +
        'What happened after that moment is not in it: who was locked or deleted since, and which tokens and keys ended.\n',
    );
  if (findings.faults.length > 0) io.setExitCode(EXIT.failed);
}
