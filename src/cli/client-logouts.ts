/** `portcullis clients logouts`: which clients could not be told yet that somebody signed out, and why. */
import type { Command } from 'commander';

import type { Administration } from '../composition/administration.ts';
import { administer } from './administer.ts';
import { printJson } from './io.ts';
import type { Io } from './io.ts';
import { formatTable } from './table.ts';
import { wholeNumber } from './whole-number.ts';

const PAGE = 100;

interface Options {
  readonly limit: number;
  readonly after?: string;
  readonly failed?: true;
  readonly json?: true;
}

type Add = (name: string, description: string, example: string) => Command;

export function registerClientLogouts(io: Io, add: Add): void {
  add(
    'logouts',
    'list the logouts that clients were not told of yet (back-channel logout), a page at a time',
    'portcullis clients logouts --failed',
  )
    .option('--failed', 'only those that are given up')
    .option('--limit <number>', 'how many to list', wholeNumber(1, 200), PAGE)
    .option('--after <id>', 'list those that follow this one')
    .action((options: Options, command: Command) =>
      administer(io, command, (administration) => list(io, administration, options)),
    );
}

async function list(
  io: Io,
  administration: Administration,
  { limit, after, failed, json }: Options,
): Promise<void> {
  const page = await administration.listLogouts({ limit, after }, failed === true);
  if (json === true) {
    printJson(io, page);
    return;
  }
  const rows = page.items.map((view) => [
    view.id,
    view.client_id,
    view.queued_at,
    String(view.attempts),
    view.failed_at === null ? `next try ${view.next_try_at ?? ''}` : `given up ${view.failed_at}`,
    view.last_error ?? '',
  ]);
  io.out(
    rows.length === 0
      ? 'There are none: every client was told.\n'
      : formatTable(['ID', 'CLIENT', 'QUEUED', 'TRIES', 'STATE', 'LAST ERROR'], rows),
  );
  if (page.next !== null) io.err(`More follow: add --after ${page.next}\n`);
}
