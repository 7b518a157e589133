/** `portcullis clients logouts`: which clients could not be told yet that somebody signed out, and why. */
import type { Command } from 'commander';

import type { Administration } from '../composition/administration.ts';
import { administer } from './administer.ts';
import type { Io } from './io.ts';
import { addPaging, printPage } from './noun.ts';
import type { AddVerb, PageOptions } from './noun.ts';

interface Options extends PageOptions {
  readonly failed?: true;
}

export function registerClientLogouts(io: Io, add: AddVerb): void {
  addPaging(
    add(
      'logouts',
      'list the logouts that clients were not told of yet (back-channel logout), a page at a time',
      'portcullis clients logouts --failed',
    ).option('--failed', 'only those that are given up'),
    'id',
  ).action((options: Options, command: Command) =>
    administer(io, command, (administration) => list(io, administration, options)),
  );
}

async function list(io: Io, administration: Administration, options: Options): Promise<void> {
  const { limit, after, failed } = options;
  printPage(io, await administration.listLogouts({ limit, after }, failed === true), options, {
    none: 'There are none: every client was told.',
    head: ['ID', 'CLIENT', 'QUEUED', 'TRIES', 'STATE', 'LAST ERROR'],
    rowOf: (view) => [
      view.id,
      view.client_id,
      view.queued_at,
      String(view.attempts),
      view.failed_at === null ? `next try ${view.next_try_at ?? ''}` : `given up ${view.failed_at}`,
      view.last_error ?? '',
    ],
  });
}
