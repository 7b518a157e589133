/** `portcullis customers`: list, show, create, update, delete, revoke-tokens. */
import type { Command } from 'commander';

import type { Administration, CustomerView } from '../composition/administration.ts';
import { administer } from './administer.ts';
import { printJson } from './io.ts';
import type { Io } from './io.ts';
import { addPaging, addVerbTo, assertChanges, byOption, printPage, tellDeleted } from './noun.ts';
import type { AddVerb, Options, PageOptions } from './noun.ts';

type Customers = Administration['customers'];

/** Adds the noun. */
export function registerCustomerCommands(program: Command, io: Io): void {
  const parent = program
    .command('customers')
    .description('manage customers: API consumers, whose tokens say what they may do');
  const add = addVerbTo(parent);
  registerReading(io, add);
  registerSaving(io, add);
  registerEnding(io, add);
}

function registerReading(io: Io, add: AddVerb): void {
  addPaging(
    add('list', 'list customers, a page at a time', 'portcullis customers list --customer-type premium'),
    'username',
  )
    .option('--search <text>', 'those whose username begins so')
    .option('--customer-type <type>', 'those of this type')
    .action((options: ListOptions, command: Command) =>
      administer(io, command, ({ customers }) => list(io, customers, options)),
    );
  add('show <username>', 'show one customer', 'portcullis customers show acme').action(
    (username: string, _options: Options, command: Command) =>
      administer(io, command, async ({ customers }) => printJson(io, await customers.show(username))),
  );
}

/** By commander's parsers. */
interface ListOptions extends PageOptions {
  readonly search?: string;
  readonly customerType?: string;
}

async function list(io: Io, customers: Customers, options: ListOptions): Promise<void> {
  const { limit, after, search: startsWith, customerType } = options;
  const page = await customers.list({ limit, after: after?.toLowerCase() }, { startsWith, customerType });
  printPage(io, page, options, {
    none: 'There are none. Make one by: portcullis customers create USERNAME --customer-type TYPE',
    head: ['USERNAME', 'TYPE', 'REQUESTS/HOUR', 'ACCESS', 'COMPANY', 'TIED TO'],
    rowOf: (customer) => [
      customer.username,
      customer.customer_type,
      customer.rate_limit === null ? 'none: its type is no more' : String(customer.rate_limit),
      customer.api_access_level ?? '',
      customer.company ?? '',
      tieOf(customer),
    ],
  });
}

const tieOf = ({ account, client }: CustomerView): string =>
  account === null ? (client === null ? '' : `client ${client}`) : `account ${account}`;

/** What may be said of a customer, apart from its name. */
const addFields = (command: Command): Command =>
  command
    .option('--email <address>', 'its address, or none')
    .option('--company <name>', 'its company, or none')
    .option('--subscription-tier <tier>', 'what it subscribed to, or none')
    .option('--additional-metadata <json>', 'a JSON object in the place of the one before, or none')
    .option('--account <username>', 'the user that it is tied to, or none')
    .option('--client <client_id>', 'the client that it is tied to, or none');

function registerSaving(io: Io, add: AddVerb): void {
  addFields(
    add(
      'create <username>',
      'make a customer',
      'portcullis customers create acme --customer-type premium --company "Acme Inc." --client acme-backend',
    ).requiredOption('--customer-type <type>', 'one of customers.tiers of the settings'),
  ).action((username: string, options: Options, command: Command) => {
    const fields = { ...fieldsOf(options, command), username };
    return administer(io, command, async ({ customers }) =>
      tell(io, options, await byOption(customers.create(fields), nameOf), 'created'),
    );
  });
  addFields(
    add(
      'update <username>',
      'change what the options name; it counts at the next token',
      'portcullis customers update acme --customer-type standard --company none',
    ).option('--customer-type <type>', 'one of customers.tiers of the settings'),
  ).action((username: string, options: Options, command: Command) => {
    const fields = fieldsOf(options, command);
    assertChanges(fields, command);
    return administer(io, command, async ({ customers }) =>
      tell(io, options, await byOption(customers.update(username, fields), nameOf), 'updated'),
    );
  });
}

function registerEnding(io: Io, add: AddVerb): void {
  add(
    'delete <username>',
    'delete a customer; whoever asks this server is told that its tokens are over',
    'portcullis customers delete acme',
  ).action((username: string, options: Options, command: Command) =>
    administer(io, command, async ({ customers }) =>
      tellDeleted(io, options, 'customer', await customers.delete(username)),
    ),
  );
  add(
    'revoke-tokens <username>',
    'end every token that the customer was given until now',
    'portcullis customers revoke-tokens acme',
  ).action((username: string, options: Options, command: Command) =>
    administer(io, command, async ({ customers }) => {
      await customers.revokeTokens(username);
      tell(io, options, await customers.show(username), 'tokens revoked');
    }),
  );
}

/** The options as an apply file would have them; `none` takes a field away. */
function fieldsOf(options: Options, command: Command): Record<string, unknown> {
  const fields = Object.entries(FIELD_OF).flatMap(([option, field]) => {
    const value = options[option];
    return value === undefined ? [] : [[field, value === 'none' ? null : value]];
  });
  const { additionalMetadata: text } = options;
  const metadata =
    typeof text !== 'string' || text === 'none' ? [] : [['additional_metadata', parse(text, command)]];
  return Object.fromEntries([...fields, ...metadata]) as Record<string, unknown>; // pairs of a name and a value
}

const FIELD_OF: Readonly<Record<string, string>> = {
  customerType: 'customer_type',
  email: 'email',
  company: 'company',
  subscriptionTier: 'subscription_tier',
  additionalMetadata: 'additional_metadata',
  account: 'account',
  client: 'client',
};

function parse(text: string, command: Command): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    const reason = Error.isError(error) ? error.message : 'it does not parse';
    return command.error(
      `error: --additional-metadata: found no JSON (${reason}); expected an object, such as: '{"region":"eu"}'`,
    );
  }
}

function tell(io: Io, { json }: Options, customer: CustomerView, done: string): void {
  if (json === true) printJson(io, { ...customer, done });
  else io.out(`${customer.username}: ${done}.\n`);
}

const nameOf = (field: string, rest: readonly string[]): string =>
  [field === 'username' ? field : `--${field.replaceAll('_', '-')}`, ...rest].join(' ');
