/** `portcullis apply FILE`: makes the store as the file says, or tells every fault by path and line. */
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';

import type { Command } from 'commander';

import type { AppliedItem, ApplyOutcome } from '../composition/administration.ts';
import { addStoreCommand, administer } from './administer.ts';
import { EXIT, fail, printJson, unreadable } from './io.ts';
import type { Io } from './io.ts';

const MAX_FILE_BYTES = 16 * 1024 * 1024;

/** Adds `apply`. */
export function registerApplyCommand(program: Command, io: Io): void {
  addStoreCommand(
    program,
    'apply <file>',
    'make the store as a YAML or JSON file says; what it does not name stays',
  )
    .option('--dry-run', 'tell what would change and change nothing')
    .addHelpText('after', '\nExample:\n  portcullis apply config/resources.example.yaml --dry-run')
    .action((file: string, options: { dryRun?: true; json?: true }, command: Command) => {
      const text = readFile(io, file);
      if (text === null) return undefined;
      return administer(io, command, async (administration) => {
        const outcome = await administration.apply(text, io.env, options.dryRun === true);
        if (options.json === true) printJson(io, toDocument(outcome, options.dryRun === true));
        else print(io, file, outcome, options.dryRun === true);
        if (!outcome.ok) io.setExitCode(EXIT.failed);
      });
    });
}

function readFile(io: Io, file: string): string | null {
  try {
    const text = readFileSync(resolve(io.cwd, file), 'utf8');
    if (text.length <= MAX_FILE_BYTES) return text;
    fail(io, `${file} is larger than ${MAX_FILE_BYTES} bytes: split it.`);
  } catch (error) {
    fail(io, unreadable(file, error));
  }
  return null;
}

const toDocument = ({ items, ...outcome }: ApplyOutcome, dryRun: boolean): object => ({
  ...outcome,
  dry_run: dryRun,
  items: items.map(({ secret, ...item }) => ({ ...item, ...(secret !== null && { client_secret: secret }) })),
});

const MARKS = { create: '+', update: '~', none: '=' } as const;

function print(io: Io, file: string, outcome: ApplyOutcome, dryRun: boolean): void {
  for (const { action, section, id, changes, secret } of outcome.items) {
    const detail = changes.length === 0 ? '' : ` (${changes.join(', ')})`;
    io.out(`${MARKS[action]} ${section} ${id}${detail}\n`);
    if (secret !== null) io.out(`  client_secret: ${secret} (shown this once)\n`);
  }
  if (outcome.ok) io.out(`${sumUp(outcome.items, dryRun)}\n`);
  else printFaults(io, file, outcome);
}

function sumUp(items: readonly AppliedItem[], dryRun: boolean): string {
  const count = (action: keyof typeof MARKS): number => items.filter((item) => item.action === action).length;
  const sum = `${count('create')} created, ${count('update')} updated, ${count('none')} unchanged`;
  return dryRun ? `Dry run: ${sum}; nothing was changed.` : `${sum}.`;
}

function printFaults(io: Io, file: string, { faults, items }: Extract<ApplyOutcome, { ok: false }>): void {
  for (const { line, path, message } of faults) {
    io.err(`${file}:${line}: ${path === '' ? '' : `${path}: `}${message}\n`);
  }
  io.err(
    items.length === 0
      ? 'Nothing was changed.\n'
      : 'What stands above was saved, the rest was not: apply the file again.\n',
  );
}
