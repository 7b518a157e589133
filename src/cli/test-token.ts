/**
 * `portcullis test-token`: a token by which a VPN node, in development, takes whoever calls for the person that it
 * names. It needs no server and no store; production has neither the secret nor the command.
 */
import { InvalidArgumentError } from 'commander';
import type { Command } from 'commander';

import { signTestToken } from '../composition/administration.ts';
import { loadConfig } from '../config.ts';
import { describeFaults } from '../config/faults.ts';
import { addConfigFlags, configFlags } from './config-flags.ts';
import { fail, printJson } from './io.ts';
import type { Io } from './io.ts';

const MAX_CHARACTERS = 255;
const NO_SECRET =
  'There is no VPN_TEST_SECRET: set it to what `openssl rand -base64 32` prints, here and at the node that shall take test tokens.';
const IN_PRODUCTION =
  'Test tokens are for development: in production nobody makes or takes them. Set NODE_ENV=development where you develop.';

interface Options {
  readonly username: string;
  readonly email: string;
  readonly role: string;
  readonly json?: true;
}

/** Adds the command. */
export function registerTestTokenCommand(program: Command, io: Io): void {
  addConfigFlags(program.command('test-token'))
    .description('make a token that VPN nodes take in development only, for any username, email and role')
    .requiredOption('--username <name>', 'whom the token is to be taken for', word)
    .requiredOption('--email <address>', 'their address', word)
    .requiredOption('--role <role>', 'their role at the node, such as admin', word)
    .option('--json', 'print one JSON document')
    .addHelpText(
      'after',
      '\nExample:\n  portcullis test-token --username alice_admin --email alice@example.com --role admin',
    )
    .action((options: Options, command: Command) => makeTestToken(io, options, command));
}

/** Any name will do, but one that was left out by mistake. */
function word(text: string): string {
  if (text.length > 0 && text.length <= MAX_CHARACTERS && /^[^\s\p{Cc}]+$/u.test(text)) return text;
  throw new InvalidArgumentError(`Expected 1 to ${MAX_CHARACTERS} characters without spaces.`);
}

async function makeTestToken(io: Io, options: Options, command: Command): Promise<void> {
  const loaded = loadConfig({ flags: configFlags(command), env: io.env, cwd: io.cwd });
  if (!loaded.ok) {
    fail(io, describeFaults(loaded.faults), 'invalid_configuration');
    return;
  }
  const { config, secrets } = loaded;
  if (config.isProduction || secrets.vpnTestSecret === null) {
    fail(io, config.isProduction ? IN_PRODUCTION : NO_SECRET, 'invalid_configuration');
    return;
  }
  const now = Math.floor(Date.now() / 1000);
  const token = await signTestToken(options, secrets.vpnTestSecret, now);
  warnOfRole(io, options.role, config.vpn.roles);
  if (options.json === true) printJson(io, { token });
  else io.out(`${token}\n`);
}

/** The token is good nevertheless: a node may have roles of its own. */
function warnOfRole(io: Io, role: string, roles: Readonly<Record<string, number>>): void {
  if (Object.hasOwn(roles, role)) return;
  const [least] = Object.keys(roles).toSorted((one, other) => (roles[one] ?? 0) - (roles[other] ?? 0));
  const names = Object.keys(roles).join(', ');
  io.err(
    `${role} is none of the roles of vpn.roles (${names}): a node takes it as the least one, ${least}.\n`,
  );
}
