/** `portcullis api-keys`: list, show, create, update, delete, rotate. */
import type { Command } from 'commander';

import type { Administration, OwnedKeyView } from '../composition/administration.ts';
import { administer } from './administer.ts';
import { printJson } from './io.ts';
import type { Io } from './io.ts';
import { addPaging, addVerbTo, assertChanges, byOption, printPage, tellDeleted } from './noun.ts';
import type { AddVerb, Options, PageOptions } from './noun.ts';
import { wholeNumber } from './whole-number.ts';

const MAX_OVERLAP_SECONDS = 30 * 86_400;

type Keys = Administration['apiKeys'];

/** Adds the noun. */
export function registerApiKeyCommands(program: Command, io: Io): void {
  const parent = program
    .command('api-keys')
    .description('manage the API keys of users and service accounts; each is named by its id');
  const add = addVerbTo(parent);
  registerReading(io, add);
  registerSaving(io, add);
  registerEnding(io, add);
}

function registerReading(io: Io, add: AddVerb): void {
  addPaging(
    add(
      'list',
      'list the keys of all users or of one, a page at a time',
      'portcullis api-keys list --user ci-bot',
    ).option('--user <user>', 'whose keys, by username or address'),
    'key_id',
  ).action((options: ListOptions, command: Command) =>
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

const userOf = (options: object): string | null =>
  'user' in options && typeof options.user === 'string' ? options.user : null;

interface ListOptions extends PageOptions {
  readonly user?: string;
}

async function list(io: Io, apiKeys: Keys, options: ListOptions): Promise<void> {
  const { limit, after } = options;
  printPage(io, await apiKeys.list(userOf(options), { limit, after }), options, {
    none: 'There are none. Make one by: portcullis api-keys create NAME --user USER',
    head: ['ID', 'USER', 'NAME', 'SCOPE', 'EXPIRES', 'LAST USED'],
    rowOf: (key) => [
      key.key_id,
      key.user,
      key.name,
      key.scopes.join(' '),
      key.expired ? 'expired' : (key.expires_at ?? ''),
      key.last_used_at ?? 'never',
    ],
  });
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

function registerSaving(io: Io, add: AddVerb): void {
  addFields(
    add(
      'create <name>',
      'make a key, shown once; without --scope it may what its owner may, but for administration',
      'portcullis api-keys create "Nightly build" --user ci-bot --scope "profile:read" --rate-limit 500',
    ).requiredOption('--user <user>', 'whose key, by username or address'),
  ).action((name: string, options: Options, command: Command) =>
    administer(io, command, async ({ apiKeys }) => {
      const key = await byOption(
        apiKeys.create(String(options['user']), fieldsOf({ ...options, name })),
        nameOf,
      );
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
    assertChanges(fields, command);
    return administer(io, command, async ({ apiKeys }) =>
      tell(io, options, await byOption(apiKeys.update(keyId, userOf(options), fields), nameOf), 'updated'),
    );
  });
}

function registerEnding(io: Io, add: AddVerb): void {
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
      tellDeleted(io, options, 'API key', keyId);
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

const nameOf = (field: string): string => OPTION_OF[field] ?? field;
