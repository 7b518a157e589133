/**
 * `portcullis clients` and `portcullis vpn-nodes`: list, show, create, update, delete, rotate-secret; `clients logouts` and
 * `vpn-nodes enrol`, which have files of their own.
 */
import { Option } from 'commander';
import type { Command } from 'commander';

import type { Administration, LostCredentials } from '../composition/administration.ts';
import { administer } from './administer.ts';
import { registerClientLogouts } from './client-logouts.ts';
import { addKeyOptions, hasKeyOptions, registerEnrol, revokeKeys, tellLost } from './vpn-enrolment.ts';
import { byOption, FIELDS, given, KEY_METHOD, nodeInput, readClientInput } from './client-input.ts';
import { fail, printJson } from './io.ts';
import type { Io } from './io.ts';
import { addPaging, addVerbTo, printPage, tellDeleted } from './noun.ts';
import type { AddVerb, Options, PageOptions } from './noun.ts';
import { wholeNumber } from './whole-number.ts';

const MAX_OVERLAP_SECONDS = 30 * 86_400;

/** The two nouns differ in what may be said of one. */
interface Noun {
  readonly name: 'clients' | 'vpn-nodes';
  readonly one: string;
  readonly isVpnNode: boolean;
  readonly addOptions: (command: Command) => Command;
  readonly example: string;
}

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
        .option('--service-account <user>', 'the service account that it acts for; an empty text for none')
        .option('--customer <username>', 'the customer that its tokens tell of; an empty text for none'),
    example: 'portcullis clients create billing --scope "invoices:read" --name "Billing"',
  },
  {
    name: 'vpn-nodes',
    one: 'VPN node',
    isVpnNode: true,
    addOptions: (command) =>
      command
        .option('--name <name>', 'its name for people')
        .addOption(
          new Option('--auth-method <method>', 'by a secret, or by a key that it enrols').choices([
            'client_secret_basic',
            KEY_METHOD,
          ]),
        )
        .option(
          '--redirect-uri <uri>',
          'where people who sign in at it by a browser are sent back to; may be given several times',
          collect,
        )
        .option('--device-sign-in', 'people sign in at it by a code that they type at /device')
        .option('--no-device-sign-in', 'nobody does'),
    example: 'portcullis vpn-nodes create node-berlin --name "Berlin"',
  },
];

/** Commander gives what it has so far: nothing at first. */
function collect(uri: string, others: readonly string[] | undefined): readonly string[] | undefined {
  return [...(others ?? []), uri];
}

/** Adds both nouns. */
export function registerClientCommands(program: Command, io: Io): void {
  for (const noun of NOUNS) registerNoun(program, io, noun);
}

function registerNoun(program: Command, io: Io, noun: Noun): void {
  const parent = program.command(noun.name).description(`manage ${noun.one}s`);
  const add = addVerbTo(parent);
  addPaging(
    add('list', `list all ${noun.one}s, a page at a time`, `portcullis ${noun.name} list --limit 20`),
    'client_id',
  ).action((options: PageOptions, command: Command) =>
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
  if (noun.isVpnNode) registerEnrol(io, add);
  else registerClientLogouts(io, add);
  add(
    'delete <client_id>',
    `delete a ${noun.one}; its tokens stop at once here`,
    `portcullis ${noun.name} delete old-${noun.isVpnNode ? 'node' : 'client'}`,
  ).action((clientId: string, options: Options, command: Command) =>
    administer(io, command, async (administration) => {
      await administration.deleteClient(clientId, noun.isVpnNode);
      tellDeleted(io, options, noun.one, clientId);
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
        const { overlap, json } = options;
        const rotate = () => administration.rotateSecret(clientId, noun.isVpnNode, overlap);
        const { done: secret, lost } = await losing(administration, noun, clientId, rotate);
        const ended = lost && tellLost(clientId, lost, overlap > 0 ? ROTATED_BEFORE : ROTATED);
        const hint = ended !== null && overlap === 0 ? `${ended} ${OVERLAP_HINT}` : ended;
        printSaved(io, json === true, { clientId, secret, done: 'rotated', ended: hint });
      }),
    );
}

function registerSaves(io: Io, noun: Noun, add: AddVerb): void {
  for (const verb of ['create', 'update'] as const) {
    const command = noun.addOptions(
      add(`${verb} <client_id>`, `${verb} a ${noun.one}`, noun.example.replace('create', verb)),
    );
    if (noun.isVpnNode && verb === 'update') addKeyOptions(command);
    command.action((clientId: string, options: Options, self: Command) => {
      const isSaved = FIELDS.some((name) => options[name] !== undefined);
      if (verb === 'create' && !noun.isVpnNode && options['scope'] === undefined)
        self.error('error: a new client needs --scope, the scopes it may ask for, such as --scope "read"');
      if (verb === 'update' && !isSaved && !hasKeyOptions(options))
        self.error('error: nothing to change: name what changes by an option');
      const input = noun.isVpnNode ? nodeInput(options) : readClientInput(io, options);
      if (input === null) return undefined;
      const change: Change = { verb, clientId, input, options, isSaved: isSaved || verb === 'create' };
      return administer(io, self, (administration) => save(io, administration, noun, change));
    });
  }
}

async function list(
  io: Io,
  administration: Administration,
  { isVpnNode, name }: Noun,
  options: PageOptions,
): Promise<void> {
  const { limit, after } = options;
  printPage(io, await administration.listClients({ limit, after }, isVpnNode), options, {
    none: `There are none. Make one by: portcullis ${name} create ID`,
    head: ['ID', 'NAME', 'SCOPE', 'AUTHENTICATION'],
    rowOf: (view) => [view.client_id, view.client_name ?? '', view.scope, view.token_endpoint_auth_method],
  });
}

interface Change {
  readonly verb: 'create' | 'update';
  readonly clientId: string;
  readonly input: Readonly<Record<string, unknown>>;
  readonly options: Options;
  /** False where the options speak of keys alone. */
  readonly isSaved: boolean;
}

async function save(io: Io, administration: Administration, noun: Noun, change: Change): Promise<void> {
  const { verb, clientId, input, options, isSaved } = change;
  const { done: outcome, lost } = await losing(administration, noun, clientId, async () => {
    if (hasKeyOptions(options)) await revokeKeys(administration.nodes, clientId, options);
    return isSaved
      ? administration.saveClient(verb, clientId, noun.isVpnNode, given(input, noun.isVpnNode))
      : ({ ok: true, secret: null } as const);
  });
  const ended = lost && tellLost(clientId, lost, REPLACED);
  if (!outcome.ok) {
    fail(io, [...outcome.faults.map(byOption), ...(ended === null ? [] : [ended])].join('\n'));
    return;
  }
  const isJson = options['json'] === true;
  printSaved(io, isJson, { clientId, secret: outcome.secret, done: `${verb}d`, ended });
  if (noun.isVpnNode && verb === 'create' && options['authMethod'] === KEY_METHOD && !isJson) {
    io.err(`It has no key yet, by which it comes in: portcullis vpn-nodes enrol ${clientId}\n`);
  }
}

const REPLACED = { old: 'Its secret', left: 'the secret' };
const ROTATED = { old: 'The secret before it', left: 'the new one' };
const ROTATED_BEFORE = { old: 'The secret that an earlier rotation left', left: 'the new one' };
const OVERLAP_HINT = 'With --overlap SECONDS the old secret goes on for so long, and ends nothing.';

/** A VPN node may lose by it what it holds; null where it does not, and for a client. */
async function losing<T>(
  { nodes }: Administration,
  { isVpnNode }: Noun,
  clientId: string,
  work: () => Promise<T>,
): Promise<{ readonly done: T; readonly lost: LostCredentials | null }> {
  return isVpnNode ? nodes.losing(clientId, work) : { done: await work(), lost: null };
}

interface Saved {
  readonly clientId: string;
  readonly secret: string | null;
  readonly done: string;
  /** What ended by it, in words. */
  readonly ended: string | null;
}

function printSaved(io: Io, isJson: boolean, { clientId, secret, done, ended }: Saved): void {
  if (isJson) {
    const tokens = ended !== null && { tokens_ended: true };
    printJson(io, {
      client_id: clientId,
      ...(secret !== null && { client_secret: secret }),
      done,
      ...tokens,
    });
    return;
  }
  io.out(`${clientId}: ${done}.${ended === null ? '' : ` ${ended}`}\n`);
  if (secret !== null) io.out(`client_secret: ${secret}\nIt is shown this once: only its digest is kept.\n`);
}
