/** `portcullis users`: list, show, create, update, delete, lock, unlock, reset-password; `import` is beside it. */
import { InvalidArgumentError, Option } from 'commander';
import type { Command } from 'commander';

import { SERVER_ROLES } from '../composition/administration.ts';
import type { Administration, UserFilter, UserView } from '../composition/administration.ts';
import { administer } from './administer.ts';
import { printJson } from './io.ts';
import type { Io } from './io.ts';
import { addPaging, addVerbTo, assertChanges, byOption, printPage, tellDeleted } from './noun.ts';
import type { AddVerb, Options, PageOptions } from './noun.ts';
import { PASSWORD_HELP, readPassword } from './password.ts';
import { registerUsersImport } from './users-import.ts';

type Users = Administration['users'];

/** Adds the noun. */
export function registerUsersCommands(program: Command, io: Io): void {
  const parent = program
    .command('users')
    .description('manage the people who sign in; each is named by username or address');
  const add = addVerbTo(parent);
  registerReading(io, add);
  registerCreate(io, add);
  registerUpdate(io, add);
  registerVerbs(io, add);
  registerUsersImport(io, add);
}

function registerReading(io: Io, add: AddVerb): void {
  addPaging(add('list', 'list all users, a page at a time', 'portcullis users list --limit 20'), 'username')
    .option('--search <text>', 'those whose username or address begins so')
    .addOption(new Option('--role <role>', 'those of this role').choices(SERVER_ROLES))
    .addOption(
      new Option('--status <status>', 'those that are so; locked: by too many wrong passwords').choices([
        'active',
        'disabled',
        'locked',
      ]),
    )
    .action((options: ListOptions, command: Command) =>
      administer(io, command, ({ users }) => list(io, users, options)),
    );
  add('show <user>', 'show one user', 'portcullis users show ada@example.com').action(
    (login: string, _options: Options, command: Command) =>
      administer(io, command, async ({ users }) => printJson(io, await users.show(login))),
  );
}

interface ListOptions extends PageOptions, Pick<UserFilter, 'role' | 'status'> {
  readonly search?: string;
}

async function list(io: Io, users: Users, options: ListOptions): Promise<void> {
  const { limit, after, search: startsWith, role, status } = options;
  const isFiltered = (startsWith ?? role ?? status) !== undefined;
  const first = ' Make the first one by: portcullis users create NAME --email ADDRESS --role admin';
  printPage(io, await users.list({ limit, after }, { startsWith, role, status }), options, {
    none: `There are none.${isFiltered ? '' : first}`,
    head: ['USERNAME', 'EMAIL', 'ROLE', 'STATUS', 'NAME'],
    rowOf: (user) => [
      user.username,
      user.email,
      user.role,
      user.disabled ? 'disabled' : 'active',
      user.full_name ?? '',
    ],
  });
}

/** What may be said of a user, apart from how they sign in. */
const addFields = (command: Command): Command =>
  command
    .option('--email-verified', 'the address is known to be theirs')
    .option('--full-name <name>', 'their name; an empty one for none')
    .addOption(new Option('--role <role>', 'what they are on this server').choices(SERVER_ROLES))
    .addOption(
      new Option(
        '--roles <audience=role>',
        'their role on VPN nodes or at an API; repeat it for several. Those that are not named end',
      ).argParser(collectRole),
    );

function collectRole(text: string, before: Readonly<Record<string, string>> = {}): Record<string, string> {
  const at = text.lastIndexOf('=');
  if (at > 0 && at < text.length - 1) return { ...before, [text.slice(0, at)]: text.slice(at + 1) };
  throw new InvalidArgumentError('Expected an audience and a role, such as vpn-node=manager.');
}

const fieldsOf = ({ email, emailVerified, fullName, role, roles }: Options): Record<string, unknown> =>
  Object.fromEntries(
    Object.entries({
      email,
      email_verified: emailVerified,
      full_name: fullName,
      role,
      roles: roles === false ? {} : roles,
    }).filter(([, value]) => value !== undefined),
  );

function registerCreate(io: Io, add: AddVerb): void {
  const example = 'portcullis users create ada --email ada@example.com --role admin';
  addFields(
    add('create <username>', 'make a user', `${example}\n\n${PASSWORD_HELP}`).option(
      '--email <address>',
      'their address (required, but for a service account)',
    ),
  )
    .option('--no-password', 'ask for no password: they set one by "forgot password"')
    .action((username: string, options: Options, command: Command) => {
      const isService = options['role'] === 'service_account';
      if (!isService && options['email'] === undefined)
        command.error("error: required option '--email <address>' not specified");
      return administer(io, command, async ({ users }) => {
        const askPassword = options['password'] === false || isService ? null : () => readPassword(io);
        const user = await byOption(users.create({ ...fieldsOf(options), username }, askPassword), nameOf);
        tell(io, options, user, 'created');
      });
    });
}

function registerUpdate(io: Io, add: AddVerb): void {
  const example = 'portcullis users update ada --role developer --roles vpn-node=manager';
  addFields(add('update <user>', 'change what the options name', example))
    .option('--email <address>', 'their new address, unverified if nothing else is said')
    .option('--no-email-verified', 'the address is not known to be theirs')
    .option('--no-roles', 'no role anywhere but on this server')
    .action((login: string, options: Options, command: Command) => {
      const fields = fieldsOf(options);
      assertChanges(fields, command);
      return administer(io, command, async ({ users }) => {
        const { user, changes } = await byOption(users.update(login, fields), nameOf);
        tell(io, options, user, changes.length === 0 ? 'unchanged' : 'updated');
      });
    });
}

/** What is done to a user without saying anything of them. */
function registerVerbs(io: Io, add: AddVerb): void {
  add(
    'delete <user>',
    'delete a user; their sessions and tokens end, and nobody is called so again',
    'portcullis users delete ada',
  ).action((login: string, options: Options, command: Command) =>
    administer(io, command, async ({ users }) => tellDeleted(io, options, 'user', await users.delete(login))),
  );
  const addVerb = (verb: 'lock' | 'unlock', description: string): void => {
    add(`${verb} <user>`, description, `portcullis users ${verb} ada`).action(
      (login: string, options: Options, command: Command) =>
        administer(io, command, async ({ users }) =>
          tell(io, options, await users[verb](login), `${verb}ed`),
        ),
    );
  };
  addVerb('lock', 'let nobody sign in as them until they are unlocked; their sessions and tokens end');
  addVerb('unlock', 'let them sign in again: after a lock, or after too many wrong passwords');
  add(
    'reset-password <user>',
    'give them a new password; every session of theirs ends',
    `portcullis users reset-password ada\n\n${PASSWORD_HELP}`,
  ).action((login: string, options: Options, command: Command) =>
    administer(io, command, async ({ users }) => {
      tell(
        io,
        options,
        await byOption(
          users.setPassword(login, () => readPassword(io)),
          nameOf,
        ),
        'password set',
      );
    }),
  );
}

function tell(io: Io, { json }: Options, user: UserView, done: string): void {
  if (json === true) printJson(io, { ...user, done });
  else io.out(`${user.username}: ${done}.\n`);
}

const OPTION_OF: Readonly<Record<string, string>> = {
  email: '--email',
  full_name: '--full-name',
  roles: '--roles',
};

const nameOf = (field: string, rest: readonly string[]): string =>
  [OPTION_OF[field] ?? field, ...rest].join(' ');
