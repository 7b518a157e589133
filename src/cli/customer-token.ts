/**
 * `portcullis customer-token`: the token of a customer, signed by a key of the operator's own. It needs no server, no
 * store and no settings. What is wrong with a key or a field is wrong usage (exit code 2); a folder that cannot be
 * written is a failure.
 */
import fs from 'node:fs';
import path from 'node:path';

import type { Command } from 'commander';

import type { CustomerTokenPayload } from '../sdk/customers/claims.ts';
import { CustomerType } from '../sdk/customers/customer.ts';
import type { CustomerFields } from '../sdk/customers/customer.ts';
import { isCustomerError } from '../sdk/customers/errors.ts';
import { SAMPLES } from '../sdk/customers/samples.ts';
import {
  DEFAULT_AUDIENCE,
  DEFAULT_ISSUER,
  DEFAULT_KEY_ID,
  DEFAULT_LIFETIME_SECONDS,
  DEFAULT_MAX_TOKEN_BYTES,
  TokenGenerator,
} from '../sdk/customers/token-generator.ts';
import { errorCode } from '../config/secret-sources.ts';
import { messageOf } from '../errors.ts';
import { toInstant } from '../instant.ts';
import { fail, printJson } from './io.ts';
import type { Io } from './io.ts';
import { notEmpty } from './not-empty.ts';
import { readPrivateKeyFile, warnOfMode } from './private-key-file.ts';
import { wholeNumber } from './whole-number.ts';

const TEN_YEARS = 10 * 366 * 86_400;
const TYPES = Object.values(CustomerType);
const WANTED = {
  kind: 'an EC private key (P-256)',
  make: 'openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256',
};

/** By commander's parsers. */
interface Options {
  readonly keyPath: string;
  readonly issuer: string;
  readonly audience: string;
  readonly keyId: string;
  readonly username?: string;
  readonly customerType?: string;
  readonly email?: string;
  readonly company?: string;
  readonly subscriptionTier?: string;
  readonly expiration: number;
  readonly additionalMetadata?: string;
  readonly outputDir?: string;
  readonly json?: true;
}

interface Made {
  readonly token: string;
  readonly payload: CustomerTokenPayload;
  /** Where it was saved; null: it is printed. */
  readonly file: string | null;
}

/** Adds the command. */
export function registerCustomerTokenCommand(program: Command, io: Io): void {
  program
    .command('customer-token')
    .description('make tokens of customers for an API gateway, by a private key and nothing else')
    .option('--key-path <file>', 'the EC private key (P-256) in PEM form', notEmpty, 'private-key.pem')
    .option('--issuer <issuer>', 'the claim iss', notEmpty, DEFAULT_ISSUER)
    .option('--audience <audience>', 'the claim aud', notEmpty, DEFAULT_AUDIENCE)
    .option('--key-id <kid>', 'the kid by which the gateway finds the public key', notEmpty, DEFAULT_KEY_ID)
    .option('--username <name>', 'whose token; without it three samples are made')
    .option('--customer-type <type>', `${TYPES.join(', ')}; ${CustomerType.FREE} where it is left out`)
    .option('--email <address>', 'their address')
    .option('--company <name>', 'their company')
    .option('--subscription-tier <tier>', 'what they subscribed to')
    .option(
      '--expiration <seconds>',
      'how long the token lives',
      wholeNumber(1, TEN_YEARS),
      DEFAULT_LIFETIME_SECONDS,
    )
    .option('--additional-metadata <json>', 'a JSON object, merged into the claim customer')
    .option('--output-dir <folder>', 'write each token to a new file of this folder')
    .option('--json', 'print one JSON document')
    .addHelpText('after', `\nExample:\n  ${EXAMPLE}\n\nMake a key by: ${WANTED.make} -out private-key.pem`)
    .action((options: Options, command: Command) => makeTokens(io, options, command));
}

const EXAMPLE =
  'portcullis customer-token --username acme --customer-type premium --company "Acme Inc." ' +
  `--additional-metadata '{"region":"eu"}'`;

async function makeTokens(io: Io, options: Options, command: Command): Promise<void> {
  const customers = customersOf(options, command);
  const privateKey = readKey(io, options.keyPath, command);
  const { issuer, audience, keyId, expiration: expiresIn, outputDir } = options;
  const made = await tellingFaults(options, command, async () => {
    // A gateway that takes less is told of below: here nobody knows what it takes.
    const generator = new TokenGenerator({ privateKey, issuer, audience, keyId, maxTokenBytes: Infinity });
    for (const customer of customers) generator.addCustomer(customer);
    return Promise.all(
      customers.map(async ({ username }) => {
        const token = await generator.generateToken(username, { expiresIn });
        return { token, payload: await generator.validateToken(token) };
      }),
    );
  });
  const folder = outputDir === undefined ? null : path.resolve(io.cwd, outputDir);
  const saved = save(io, folder, made);
  if (saved === null) return;
  if (options.json === true) printJson(io, { tokens: saved });
  else for (const one of saved) tell(io, one);
  for (const { token, payload } of saved) warnOfSize(io, token, payload);
  warnOfMode(io, options.keyPath);
}

/** What the options say of one customer; the samples where none is named. */
function customersOf(options: Options, command: Command): readonly CustomerFields[] {
  const { username, customerType = CustomerType.FREE, email, company, subscriptionTier } = options;
  if (username === undefined) {
    const [stray] = Object.entries(OPTION_OF).filter(([name]) => name in options);
    if (stray === undefined) return SAMPLES;
    return command.error(`error: ${stray[1]} is said of a customer: add --username, or leave it out`);
  }
  if (!TYPES.some((type) => type === customerType)) {
    return command.error(
      `error: --customer-type: found "${customerType}"; expected one of ${TYPES.join(', ')}, ` +
        `such as: --customer-type ${CustomerType.PREMIUM}`,
    );
  }
  const additionalMetadata = metadataOf(options, command);
  return [{ username, customerType, email, company, subscriptionTier, additionalMetadata }];
}

function metadataOf(
  { additionalMetadata: text }: Options,
  command: Command,
): CustomerFields['additionalMetadata'] {
  if (text === undefined) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    const reason = Error.isError(error) ? error.message : 'it does not parse';
    return command.error(
      `error: --additional-metadata: found no JSON (${reason}); expected an object, in quotes for the shell, ` +
        `such as: --additional-metadata '{"region":"eu"}'`,
    );
  }
  return value as CustomerFields['additionalMetadata']; // the generator looks at what it is
}

function readKey(io: Io, keyPath: string, command: Command): string {
  try {
    return readPrivateKeyFile(io, keyPath, WANTED);
  } catch (error) {
    return command.error(`error: --key-path: ${messageOf(error)}`);
  }
}

const OPTION_OF: Readonly<Record<string, string>> = {
  username: '--username',
  customerType: '--customer-type',
  email: '--email',
  company: '--company',
  subscriptionTier: '--subscription-tier',
  additionalMetadata: '--additional-metadata',
};

/** The module's refusals in the words of the command line. */
async function tellingFaults<T>({ keyPath }: Options, command: Command, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!isCustomerError(error)) throw error;
    if (error.code === 'ERR_CUSTOMER_KEY_INVALID')
      return command.error(`error: ${keyPath}: ${error.message}`);
    const sentences = error.faults.map(({ path: at, message }) => {
      const [field = '', ...rest] = at.split('.');
      return `${[OPTION_OF[field] ?? field, ...rest].join(' ')}: ${message}`;
    });
    return command.error(`error: ${sentences.join('; ')}`);
  }
}

/** Writes the tokens where a folder is named; null where that failed, which is then told. */
function save(io: Io, folder: string | null, made: readonly Omit<Made, 'file'>[]): readonly Made[] | null {
  if (folder === null) return made.map((one) => ({ ...one, file: null }));
  const written: string[] = [];
  try {
    fs.mkdirSync(folder, { recursive: true, mode: 0o700 });
    return made.map((one) => {
      const file = path.join(folder, fileName(one.payload));
      fs.writeFileSync(file, `${one.token}\n`, { mode: 0o600, flag: 'wx', flush: true });
      written.push(file);
      return { ...one, file };
    });
  } catch (error) {
    for (const file of written) fs.rmSync(file, { force: true }); // all of them or none
    fail(io, unwritable(folder, error), 'failed');
    return null;
  }
}

/** A username is no path: it holds no slash, and never stands alone. */
function fileName({ username, customer_type: type, iat }: CustomerTokenPayload): string {
  const timestamp = toInstant(iat).replaceAll(/[-:]|\.\d+/g, '');
  return `${username}_${type}_${timestamp}.jwt`;
}

function unwritable(folder: string, error: unknown): string {
  const code = errorCode(error);
  if (code !== 'EEXIST') {
    return `${folder} cannot be written (${code}): give --output-dir a folder where this user may write.`;
  }
  return fs.statSync(folder).isDirectory()
    ? `${folder} has a token of this second already, which was left as it is: try again.`
    : `${folder} is a file: give --output-dir a folder.`;
}

function tell(io: Io, { token, payload, file }: Made): void {
  io.out(`${payload.username} (${payload.customer_type})\n`);
  if (file !== null) io.out(`Saved to ${file} (mode 0600), good until ${toInstant(payload.exp)}.\n`);
  else io.out(`${token}\n`);
  io.out(`${JSON.stringify(payload, null, 2)}\n\n`);
}

function warnOfSize(io: Io, token: string, { username }: CustomerTokenPayload): void {
  if (token.length <= DEFAULT_MAX_TOKEN_BYTES) return;
  io.err(
    `The token of ${username} has ${token.length} bytes: many gateways take no more than ${DEFAULT_MAX_TOKEN_BYTES} in a header.\n`,
  );
}
