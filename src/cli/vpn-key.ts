/**
 * `portcullis vpn-key enrol` and `vpn-key rotate`, on the node's machine: the node's key, by the same code as a node that
 * is a program. They need no store; the settings are those of the node's environment.
 */
import { resolve } from 'node:path';

import { Option } from 'commander';
import type { Command } from 'commander';

import { toInstantOrNull } from '../instant.ts';
import { enrol, readNodeSettings, rotateKey } from '../sdk/node/node.ts';
import type { NodeAlgorithm, NodeKeys } from '../sdk/node/node.ts';
import { fail, printJson } from './io.ts';
import type { Io } from './io.ts';

const MAX_CODE_BYTES = 1_024;
/** The client id of the node that a code is for, and what nobody guesses. */
const CODE = /^(?<node>.+)\.[\w-]{43}$/;
const SETTINGS = `
It reads PARENT_ISSUER and PORTBRO_PRIVATE_KEY_FILE`;

interface Options {
  readonly alg?: NodeAlgorithm;
  readonly json?: true;
}

/** Adds both. */
export function registerVpnKeyCommands(program: Command, io: Io): void {
  const parent = program.command('vpn-key').description('the key of this VPN node, which never leaves it');
  const add = (name: string, description: string, help: string): Command =>
    parent
      .command(name)
      .description(description)
      .addOption(new Option('--alg <alg>', 'what it signs by').choices(['ES256', 'EdDSA', 'RS256']))
      .option('--json', 'print one JSON document')
      .addHelpText('after', `${SETTINGS}${help}`);
  add(
    'enrol',
    'make the key, and register its public half by the code of `portcullis vpn-nodes enrol`',
    `, and the code from PORTBRO_ENROLMENT_CODE or standard input.
The private key goes to that file, which must be new, with mode 0600.

Example:
  PORTBRO_ENROLMENT_CODE=… portcullis vpn-key enrol`,
  ).action((options: Options) => enrolNode(io, options));
  add(
    'rotate',
    'make another key in its place; the old one goes on for a while (`vpn.key_overlap` of the server)',
    `, and PORTBRO_CLIENT_ID.

Example:
  portcullis vpn-key rotate`,
  ).action((options: Options) => rotateNode(io, options));
}

async function enrolNode(io: Io, { alg, json }: Options): Promise<void> {
  const settings = readSettings(io, ['PARENT_ISSUER', 'PORTBRO_PRIVATE_KEY_FILE']);
  if (settings === null) return;
  const code = await readCode(io);
  if (code === '') {
    const sentence = 'There is no code: set PORTBRO_ENROLMENT_CODE, or write it to standard input.';
    fail(io, sentence, 'invalid_configuration');
    return;
  }
  const node = CODE.exec(code)?.groups?.['node'] ?? settings.clientId;
  // Before it is sent, which would use it up.
  if (settings.clientId !== '' && node !== settings.clientId) {
    fail(io, otherNode(node, settings.clientId), 'invalid_configuration');
    return;
  }
  await tell(io, json, 'enrolled', settings, () => enrol({ ...settings, code, algorithm: alg }));
}

const otherNode = (node: string, clientId: string): string =>
  `The code is for ${node}, and PORTBRO_CLIENT_ID is ${clientId}: set that to ${node}, or take a code of ` +
  `\`portcullis vpn-nodes enrol ${clientId}\`. The code was not used.`;

/** Not an argument: whoever lists the processes of the machine would see it. */
async function readCode({ env, input }: Io): Promise<string> {
  const { PORTBRO_ENROLMENT_CODE: given = '' } = env;
  const read = (): Promise<string | null> =>
    input.isTerminal() ? input.askHidden('Enrolment code: ') : input.readAll(MAX_CODE_BYTES);
  return (given === '' ? ((await read()) ?? '') : given).trim();
}

async function rotateNode(io: Io, { alg, json }: Options): Promise<void> {
  const settings = readSettings(io, ['PARENT_ISSUER', 'PORTBRO_PRIVATE_KEY_FILE', 'PORTBRO_CLIENT_ID']);
  if (settings === null) return;
  await tell(io, json, 'rotated', settings, () => rotateKey({ ...settings, algorithm: alg }));
}

interface Settings {
  readonly issuer: string;
  readonly privateKeyFile: string;
  /** Empty where it is not set, and not needed. */
  readonly clientId: string;
}

/** Null, and told, where one is missing, or the issuer is no address. */
function readSettings(io: Io, needed: readonly string[]): Settings | null {
  const missing = needed.filter((name) => (io.env[name] ?? '') === '');
  if (missing.length > 0) {
    const sentences = missing.map((name) => `${name} is not set: the node needs it.`);
    fail(io, sentences.join('\n'), 'invalid_configuration');
    return null;
  }
  const { PARENT_ISSUER: issuer = '', PORTBRO_PRIVATE_KEY_FILE: file = '', PORTBRO_CLIENT_ID = '' } = io.env;
  try {
    // As for `vpn-check`; whoever enrols needs no id, which plays no part here.
    readNodeSettings({ PARENT_ISSUER: issuer, PORTBRO_PRIVATE_KEY_FILE: file, PORTBRO_CLIENT_ID: 'any' });
  } catch (error) {
    if (!Error.isError(error)) throw error;
    fail(io, error.message, 'invalid_configuration');
    return null;
  }
  return { issuer, privateKeyFile: resolve(io.cwd, file), clientId: PORTBRO_CLIENT_ID };
}

async function tell(
  io: Io,
  json: true | undefined,
  done: 'enrolled' | 'rotated',
  { privateKeyFile: file }: Settings,
  work: () => Promise<NodeKeys>,
): Promise<void> {
  try {
    const { clientId, kid, algorithm, keys } = await work();
    const shown = keys.map((key) => ({ kid: key.kid, expires_at: toInstantOrNull(key.expiresAt) }));
    if (json === true) {
      printJson(io, { client_id: clientId, kid, alg: algorithm, keys: shown, file, done });
      return;
    }
    io.out(`${clientId}: ${done}. Its ${algorithm} key ${kid} is in ${file}.\n`);
    for (const { kid: old, expires_at: until } of shown) {
      if (until !== null) io.out(`The key ${old} goes on until ${until}.\n`);
    }
  } catch (error) {
    if (!Error.isError(error)) throw error;
    fail(io, error.message, 'failed');
  }
}
