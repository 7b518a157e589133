/** `portcullis clients` and `portcullis vpn-nodes`: list, show, create, update, delete, rotate-secret; `clients logouts`. */
import { Option } from 'commander';
import type { Command } from 'commander';

import type { Administration } from '../composition/administration.ts';
import { addStoreCommand, administer } from './administer.ts';
import { registerClientLogouts } from './client-logouts.ts';
import { byOption, FIELDS, given, KEY_METHOD, readClientInput } from './client-input.ts';
import { fail, printJson } from './io.ts';
import type { Io } from './io.ts';
import { formatTable } from './table.ts';
import { wholeNumber } from './whole-number.ts';

const PAGE = 100;
const MAX_OVERLAP_SECONDS = 30 * 86_400;

/** The two nouns differ in what may be said of one. */
interface Noun {
  readonly name: 'clients' | 'vpn-nodes';
  readonly one: string;
  readonly isVpnNode: boolean;
  readonly addOptions: (command: Command) => Command;
  readonly example: string;
}

type Options = Readonly<Record<string, unknown>>;

const NOUNS: readonly Noun[] = [
  {
    name: 'clients',
    one: 'client',
    isVpnNode: false,
    addOptions: (command) =>
      command
        .option(
          '--scope <scopes>',
          'the scopes it may ask for, separated by spaces (required for a new client)',
        )
        .option('--name <name>', 'its name for people')
        .addOption(
          new Option('--auth-method <method>', 'how it authenticates').choices([
            'client_secret_basic',
            'client_secret_post',
            KEY_METHOD,
          ]),
        )
        .option('--jwks <file>', 'its public keys (a JWK set), for private_key_jwt')
        .option('--service-account <user>', 'the service account that it acts for; an empty text for none'),
    example: 'portcullis clients create billing --scope "invoices:read" --name "Billing"',
  },
  {
    name: 'vpn-nodes',
    one: 'VPN node',
    isVpnNode: true,
    addOptions: (command) => command.option('--name <name>', 'its name for people'),
    example: 'portcullis vpn-nodes create node-berlin --name "Berlin"',
  },
];

/** Adds both nouns. */
export function registerClientCommands(program: Command, io: Io): void {
  for (const noun of NOUNS) registerNoun(program, io, noun);
}

function registerNoun(program: Command, io: Io, noun: Noun): void {
  const parent = program.command(noun.name).description(`manage ${noun.one}s`);
  const add: Add = (name, description, example) =>
    addStoreCommand(parent, name, description).addHelpText('after', `\nExample:\n  ${example}`);

  add('list', `list all ${noun.one}s, a page at a time`, `portcullis ${noun.name} list --limit 20`)
    .option('--limit <number>', 'how many to list', wholeNumber(1, 200), PAGE)
    .option('--after <client_id>', 'list those that follow this one')
    .action((options: { limit: number; after?: string }, command: Command) =>
      administer(io, command, (administration) => list(io, administration, noun, options)),
    );
  add(
    'show <client_id>',
    `show one ${noun.one}; secrets are not kept, so none is shown`,
    `portcullis ${noun.name} show ${noun.isVpnNode ? 'node-berlin' : 'billing'}`,
  ).action((clientId: string, _options: Options, command: Command) =>
    administer(io, command, async (administration) => {
      printJson(io, await administration.showClient(clientId, noun.isVpnNode));
    }),
  );
  registerSaves(io, noun, add);
  if (!noun.isVpnNode) registerClientLogouts(io, add);
  add(
    'delete <client_id>',
    `delete a ${noun.one}; its tokens stop at once here`,
    `portcullis ${noun.name} delete old-${noun.isVpnNode ? 'node' : 'client'}`,
  ).action((clientId: string, options: Options, command: Command) =>
    administer(io, command, async (administration) => {
      await administration.deleteClient(clientId, noun.isVpnNode);
      if (options['json'] === true) printJson(io, { deleted: clientId });
      else io.out(`Deleted the ${noun.one} ${clientId}.\n`);
    }),
  );
  add(
    'rotate-secret <client_id>',
    'give it a new secret, shown once',
    `portcullis ${noun.name} rotate-secret ${noun.isVpnNode ? 'node-berlin' : 'billing'} --overlap 3600`,
  )
    .option(
      '--overlap <seconds>',
      'how long the old secret goes on working',
      wholeNumber(0, MAX_OVERLAP_SECONDS),
      0,
    )
    .action((clientId: string, options: { overlap: number; json?: true }, command: Command) =>
      administer(io, command, async (administration) => {
        const secret = await administration.rotateSecret(clientId, noun.isVpnNode, options.overlap);
        printSecret(io, options.json === true, clientId, secret, 'rotated');
      }),
    );
}

type Add = (name: string, description: string, example: string) => Command;

function registerSaves(io: Io, noun: Noun, add: Add): void {
  for (const verb of ['create', 'update'] as const) {
    noun
      .addOptions(add(`${verb} <client_id>`, `${verb} a ${noun.one}`, noun.example.replace('create', verb)))
      .action((clientId: string, options: Options, command: Command) => {
        if (verb === 'create' && !noun.isVpnNode && options['scope'] === undefined)
          command.error(
            'error: a new client needs --scope, the scopes it may ask for, such as --scope "read"',
          );
        if (verb === 'update' && !FIELDS.some((name) => options[name] !== undefined))
          command.error('error: nothing to change: name what changes by an option');
        const input = noun.isVpnNode ? { name: options['name'] } : readClientInput(io, options);
        if (input === null) return undefined;
        return administer(io, command, (administration) =>
          save(io, administration, noun, { verb, clientId, input, isJson: options['json'] === true }),
        );
      });
  }
}

async function list(
  io: Io,
  administration: Administration,
  { isVpnNode, name }: Noun,
  { limit, after, json }: { limit: number; after?: string; json?: true },
): Promise<void> {
  const page = await administration.listClients({ limit, after }, isVpnNode);
  if (json === true) {
    printJson(io, page);
    return;
  }
  const rows = page.items.map((view) => [
    view.client_id,
    view.client_name ?? '',
    view.scope,
    view.token_endpoint_auth_method,
  ]);
  io.out(
    rows.length === 0
      ? `There are none. Make one by: portcullis ${name} create ID\n`
      : formatTable(['ID', 'NAME', 'SCOPE', 'AUTHENTICATION'], rows),
  );
  if (page.next !== null) io.err(`More follow: add --after ${page.next}\n`);
}

interface Change {
  readonly verb: 'create' | 'update';
  readonly clientId: string;
  readonly input: Readonly<Record<string, unknown>>;
  readonly isJson: boolean;
}

async function save(
  io: Io,
  administration: Administration,
  { isVpnNode }: Noun,
  { verb, clientId, input, isJson }: Change,
): Promise<void> {
  const outcome = await administration.saveClient(verb, clientId, isVpnNode, given(input));
  if (!outcome.ok) fail(io, outcome.faults.map(byOption).join('\n'));
  else printSecret(io, isJson, clientId, outcome.secret, `${verb}d`);
}

function printSecret(io: Io, isJson: boolean, clientId: string, secret: string | null, done: string): void {
  if (isJson) {
    printJson(io, { client_id: clientId, ...(secret !== null && { client_secret: secret }), done });
    return;
  }
  io.out(`${clientId}: ${done}.\n`);
  if (secret !== null) io.out(`client_secret: ${secret}\nIt is shown this once: only its digest is kept.\n`);
}
