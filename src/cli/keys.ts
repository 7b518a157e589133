/** `portcullis keys`: list, create, rotate, retire; `import` and `export` are beside it. */
import { Option } from 'commander';
import type { Command } from 'commander';

import { SIGNING_ALGORITHMS } from '../composition/administration.ts';
import type { Administration, KeyListView, TurnView } from '../composition/administration.ts';
import { administer } from './administer.ts';
import { printJson } from './io.ts';
import type { Io } from './io.ts';
import { registerKeyFiles, tellAdded } from './keys-files.ts';
import { registerReencrypt } from './keys-reencrypt.ts';
import { registerKeysRetire } from './keys-retire.ts';
import { addVerbTo } from './noun.ts';
import { formatTable } from './table.ts';

type Keys = Administration['keys'];

interface Options {
  readonly alg?: string;
  readonly json?: true;
}

/** Adds the noun. */
export function registerKeyCommands(program: Command, io: Io): void {
  const parent = program
    .command('keys')
    .description('manage the keys that sign tokens; running servers see a change within 5 s');
  const add = addVerbTo(parent);
  add('list', 'list the published keys, and when the next one takes over', 'portcullis keys list').action(
    (options: Options, command: Command) => administer(io, command, ({ keys }) => list(io, keys, options)),
  );
  add(
    'rotate',
    'let the next key take over once everybody knows it; nothing that is signed breaks',
    'portcullis keys rotate --alg RS256',
  )
    .addOption(new Option('--alg <algorithm>', 'of this algorithm only').choices(SIGNING_ALGORITHMS))
    .action((options: Options, command: Command) =>
      administer(io, command, ({ keys }) => rotate(io, keys, options)),
    );
  add(
    'create',
    'make the first key of an algorithm; KEYS_ALGORITHMS has it rotated, too',
    'portcullis keys create --alg EdDSA',
  )
    .addOption(
      new Option('--alg <algorithm>', 'the algorithm').choices(SIGNING_ALGORITHMS).makeOptionMandatory(),
    )
    .action(({ alg = '', json }: Options, command: Command) =>
      administer(io, command, async ({ keys }) => tellAdded(io, json, await keys.create(alg), 'created')),
    );
  registerKeysRetire(io, add);
  registerKeyFiles(io, add);
  registerReencrypt(parent, io);
}

async function list(io: Io, keys: Keys, { json }: Options): Promise<void> {
  const view = await keys.list();
  if (json === true) printJson(io, view);
  else if (view.items.length === 0) io.out('There are none: the server makes them at its first start.\n');
  else io.out(describeList(view));
}

function describeList({ items, next_rotation: next }: KeyListView): string {
  const rows = items.map(({ kid, alg, state, since, until }) => [kid, alg, state, since, until ?? '']);
  const rotations = Object.entries(next).map(([alg, at]) =>
    at === null ? `${alg} rotates by command only.\n` : `The next key of ${alg} takes over at ${at}.\n`,
  );
  return `${formatTable(['KID', 'ALG', 'STATE', 'SINCE', 'NEXT CHANGE'], rows)}${rotations.join('')}`;
}

async function rotate(io: Io, keys: Keys, { alg = null, json }: { alg?: string | null; json?: true }) {
  const turns = await keys.rotate(alg);
  if (json === true) printJson(io, { items: turns });
  else io.out(turns.map(describeTurn).join(''));
}

function describeTurn({ alg, kid, signs_from: at, done }: TurnView): string {
  const scheduled = `${alg}: ${kid} signs from ${at} on`;
  return done === 'scheduled'
    ? `${scheduled}.\n`
    : `${scheduled}, as was scheduled before: nothing was changed.\n`;
}
