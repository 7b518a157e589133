/** `portcullis clients` and `portcullis vpn-nodes`: list, show, create, update, delete, rotate-secret. */
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';

import { InvalidArgumentError } from 'commander';
import type { Command } from 'commander';

import type { Administration } from '../administration.ts';
import { addStoreCommand, administer } from './administer.ts';
import { fail, printJson } from './io.ts';
import type { Io } from './io.ts';
import { formatTable } from './table.ts';

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
        .option('--auth-method <method>', 'client_secret_basic, client_secret_post or private_key_jwt')
        .option('--jwks <file>', 'its public keys (a JWK set), for private_key_jwt'),
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
  const add = (name: string, description: string, example: string): Command =>
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
    `portcullis ${noun.name} show demo-node`,
  ).action((clientId: string, _options: Options, command: Command) =>
    administer(io, command, async (administration) => {
      printJson(io, await administration.showClient(clientId, noun.isVpnNode));
    }),
  );
  for (const verb of ['create', 'update'] as const) {
    noun
      .addOptions(add(`${verb} <client_id>`, `${verb} a ${noun.one}`, noun.example.replace('create', verb)))
      .action((clientId: string, options: Options, command: Command) =>
        administer(io, command, (administration) => save(io, administration, noun, verb, clientId, options)),
      );
  }
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
    `portcullis ${noun.name} rotate-secret demo-node --overlap 3600`,
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

async function save(
  io: Io,
  administration: Administration,
  noun: Noun,
  verb: 'create' | 'update',
  clientId: string,
  options: Options,
): Promise<void> {
  const input = noun.isVpnNode ? { name: options['name'] } : clientInput(io, options);
  const outcome = await administration.saveClient(verb, clientId, noun.isVpnNode, withoutUndefined(input));
  if (!outcome.ok) {
    fail(io, outcome.faults.join('\n'));
    return;
  }
  printSecret(io, options['json'] === true, clientId, outcome.secret, `${verb}d`);
}

function clientInput(io: Io, options: Options): Record<string, unknown> {
  const file = options['jwks'];
  return {
    scope: options['scope'],
    client_name: options['name'],
    token_endpoint_auth_method: options['authMethod'],
    jwks:
      typeof file === 'string'
        ? (JSON.parse(readFileSync(resolve(io.cwd, file), 'utf8')) as unknown)
        : undefined,
  };
}

const withoutUndefined = (input: Record<string, unknown>): Record<string, unknown> =>
  Object.fromEntries(Object.entries(input).filter(([, value]) => value !== undefined));

function printSecret(io: Io, isJson: boolean, clientId: string, secret: string | null, done: string): void {
  if (isJson) {
    printJson(io, { client_id: clientId, ...(secret !== null && { client_secret: secret }), done });
    return;
  }
  io.out(`${clientId}: ${done}.\n`);
  if (secret !== null) io.out(`client_secret: ${secret}\nIt is shown this once: only its digest is kept.\n`);
}

/** An option's whole number within bounds. */
function wholeNumber(least: number, most: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (/^\d+$/.test(text) && value >= least && value <= most) return value;
    throw new InvalidArgumentError(`Expected a whole number from ${least} to ${most}.`);
  };
}
