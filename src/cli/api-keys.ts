/** `portcullis api-keys`: list, show, create, update, delete, rotate. */
import type { Command } from 'commander';

import type { Administration, OwnedKeyView } from '../composition/administration.ts';
import { AppError, isAppError } from '../errors.ts';
import { addStoreCommand, administer } from './administer.ts';
import { printJson } from './io.ts';
import type { Io } from './io.ts';
import { formatTable } from './table.ts';
import { wholeNumber } from './whole-number.ts';

const PAGE = 100;
const MAX_OVERLAP_SECONDS = 30 * 86_400;

type Options = Readonly<Record<string, unknown>>;
type Add = (name: string, description: string, example: string) => Command;
type Keys = Administration['apiKeys'];

/** Adds the noun. */
export function registerApiKeyCommands(program: Command, io: Io): void {
  const parent = program
    .command('api-keys')
    .description('manage the API keys of users and service accounts; each is named by its id');
  const add: Add = (name, description, example) =>
    addStoreCommand(parent, name, description).addHelpText('after', `\nExample:\n  ${example}`);
  registerReading(io, add);
  registerSaving(io, add);
  registerEnding(io, add);
}

function registerReading(io: Io, add: Add): void {
  add(
    'list',
    'list the keys of all users or of one, a page at a time',
    'portcullis api-keys list --user ci-bot',
  )
    .option('--user <user>', 'whose keys, by username or address')
    .option('--limit <number>', 'how many to list', wholeNumber(1, 200), PAGE)
    .option('--after <key_id>', 'list those that follow this one')
    .action((options: Options, command: Command) =>
      administer(io, command, ({ apiKeys }) => list(io, apiKeys, options)),
    );
  ofOwner(
    add('show <key_id>', 'show one key; its secret is not kept', 'portcullis api-keys show KEY_ID'),
  ).action((keyId: string, options: Options, command: Command) =>
    administer(io, command, async ({ apiKeys }) => printJson(io, await apiKeys.show(keyId, userOf(options)))),
  );
}

const ofOwner = (command: Command): Command =>
  command.option('--user <user>', 'refuse a key that is not theirs, by username or address');

const userOf = ({ user }: Options): string | null => (typeof user === 'string' ? user : null);

async function list(io: Io, apiKeys: Keys, options: Options): Promise<void> {
  const { limit, after, json } = options as { limit: number; after?: string; json?: true }; // by their parsers
  const page = await apiKeys.list(userOf(options), { limit, after });
  if (json === true) {
    printJson(io, page);
    return;
  }
  const rows = page.items.map((key) => [
    key.key_id,
    key.user,
    key.name,
    key.scopes.join(' '),
    key.expired ? 'expired' : (key.expires_at ?? ''),
    key.last_used_at ?? 'never',
  ]);
  io.out(
    rows.length === 0
      ? 'There are none. Make one by: portcullis api-keys create NAME --user USER\n'
      : formatTable(['ID', 'USER', 'NAME', 'SCOPE', 'EXPIRES', 'LAST USED'], rows),
  );
  if (page.next !== null) io.err(`More follow: add --after ${page.next}\n`);
}

/** What may be said of a key, apart from its name. */
const addFields = (command: Command): Command =>
  command
    .option('--scope <scopes>', 'what it may do, separated by spaces; an empty text for nothing')
    .option('--rate-limit <number>', 'requests an hour, or none: as its owner has', numberOrNone)
    .option('--expires-at <time>', 'such as 2027-01-31T00:00:00Z, or never');

/** Commander takes a null of a parser for an option without a value. */
const numberOrNone = (text: string): number | 'none' =>
  text === 'none' ? text : wholeNumber(1, 1_000_000)(text);

const fieldsOf = ({ name, scope, rateLimit, expiresAt }: Options): Record<string, unknown> =>
  Object.fromEntries(
    Object.entries({
      name,
      scopes: typeof scope === 'string' ? scope.split(' ').filter((word) => word !== '') : undefined,
      rate_limit: rateLimit === 'none' ? null : rateLimit,
      expires_at: expiresAt === 'never' ? null : expiresAt,
    }).filter(([, value]) => value !== undefined),
  );

function registerSaving(io: Io, add: Add): void {
  addFields(
    add(
      'create <name>',
      'make a key, shown once; without --scope it may what its owner may, but for administration',
      'portcullis api-keys create "Nightly build" --user ci-bot --scope "profile:read" --rate-limit 500',
    ).requiredOption('--user <user>', 'whose key, by username or address'),
  ).action((name: string, options: Options, command: Command) =>
    administer(io, command, async ({ apiKeys }) => {
      const key = await byOption(apiKeys.create(String(options['user']), fieldsOf({ ...options, name })));
      tell(io, options, key, 'created');
    }),
  );
  addFields(
    ofOwner(
      add(
        'update <key_id>',
        'change what the options name',
        'portcullis api-keys update KEY_ID --name "Weekly build" --expires-at never',
      ).option('--name <name>', 'what it is for'),
    ),
  ).action((keyId: string, options: Options, command: Command) => {
    const fields = fieldsOf(options);
    if (Object.keys(fields).length === 0)
      command.error('error: nothing to change: name what changes by an option');
    return administer(io, command, async ({ apiKeys }) =>
      tell(io, options, await byOption(apiKeys.update(keyId, userOf(options), fields)), 'updated'),
    );
  });
}

function registerEnding(io: Io, add: Add): void {
  ofOwner(
    add(
      'rotate <key_id>',
      'give it a new secret, shown once',
      'portcullis api-keys rotate KEY_ID --overlap 3600',
    ),
  )
    .option(
      '--overlap <seconds>',
      'how long the secret before goes on working',
      wholeNumber(0, MAX_OVERLAP_SECONDS),
      0,
    )
    .action((keyId: string, options: Options & { readonly overlap: number }, command: Command) =>
      administer(io, command, async ({ apiKeys }) =>
        tell(io, options, await apiKeys.rotate(keyId, userOf(options), options.overlap), 'rotated'),
      ),
    );
  ofOwner(
    add('delete <key_id>', 'delete it; it is refused at once', 'portcullis api-keys delete KEY_ID'),
  ).action((keyId: string, options: Options, command: Command) =>
    administer(io, command, async ({ apiKeys }) => {
      await apiKeys.delete(keyId, userOf(options));
      if (options['json'] === true) printJson(io, { deleted: keyId });
      else io.out(`Deleted the API key ${keyId}.\n`);
    }),
  );
}

function tell(
  io: Io,
  { json }: Options,
  key: OwnedKeyView & { readonly secret?: string },
  done: string,
): void {
  if (json === true) {
    printJson(io, { ...key, done });
    return;
  }
  io.out(`${key.key_id} (${key.name}, of ${key.user}): ${done}.\n`);
  if (key.secret !== undefined) {
    io.out(`secret: ${key.secret}\nIt is shown this once: only its digest is kept.\n`);
  }
}

const OPTION_OF: Readonly<Record<string, string>> = {
  scopes: '--scope',
  rate_limit: '--rate-limit',
  expires_at: '--expires-at',
};

/** Faults by the options that people typed instead of the fields' names. */
async function byOption<T>(saving: Promise<T>): Promise<T> {
  try {
    return await saving;
  } catch (error) {
    if (!isAppError(error) || error.errors === undefined) throw error;
    const sentences = error.errors.map(({ path, message }) => {
      const [field = ''] = path.split('.');
      return `${OPTION_OF[field] ?? field}: ${message}`;
    });
    throw new AppError(error.code, [...new Set(sentences)].join('\n'), { cause: error });
  }
}
