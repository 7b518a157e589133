/**
 * `portcullis vpn-check`: whether a VPN node with this environment gets its JWT, and whether others take it. It asks the
 * server as the node does, by the same client, and prints no token.
 */
import { resolve } from 'node:path';

import type { Command } from 'commander';

import { toInstant } from '../instant.ts';
import {
  createJwtService,
  createOAuth2Client,
  createTokenValidator,
  readNodeSettings,
} from '../sdk/node/node.ts';
import type { Caller, JwtService, NodeSettings, OAuth2Client, TokenValidator } from '../sdk/node/node.ts';
import { EXIT, fail, printJson } from './io.ts';
import type { Io } from './io.ts';

interface Options {
  readonly forceRefresh?: true;
  readonly clearCache?: true;
  readonly json?: true;
}

interface Parts {
  readonly client: OAuth2Client;
  readonly validator: TokenValidator;
  readonly service: JwtService;
  readonly settings: NodeSettings;
}

/** A step that was done: what it showed, in a word or two, and how long it took. */
interface Step {
  readonly name: string;
  readonly result: string;
  readonly milliseconds: number;
}

const EXAMPLE = `
It reads PORTBRO_CLIENT_ID, PORTBRO_CLIENT_SECRET or PORTBRO_PRIVATE_KEY_FILE, and PARENT_ISSUER; PORTBRO_TOKEN_URL,
PORTBRO_VPN_AUTH_URL, PORTBRO_SCOPE, PARENT_JWKS_URL and PARENT_AUDIENCE where they differ from those of the issuer.

Example:
  portcullis vpn-check --force-refresh`;

/** Adds the command. */
export function registerVpnCheckCommand(program: Command, io: Io): void {
  program
    .command('vpn-check')
    .description('check, as a VPN node, that it gets its JWT and that the published keys verify it')
    .option('--force-refresh', 'get a second JWT in the place of the one that is kept')
    .option('--clear-cache', 'forget the JWT that is kept, and get another')
    .option('--json', 'print one JSON document')
    .addHelpText('after', EXAMPLE)
    .action((options: Options) => check(io, options));
}

async function check(io: Io, options: Options): Promise<void> {
  const parts = openParts(io);
  if (parts === null) return;
  const steps: Step[] = [];
  let begun = '';
  const telling: Telling = {
    begins: (name) => void (begun = name),
    done: (step) => {
      steps.push(step);
      if (options.json !== true) io.out(`ok  ${step.name}: ${step.result} (${step.milliseconds} ms)\n`);
    },
  };
  try {
    const caller = await runSteps(parts, options, telling);
    if (options.json === true) printJson(io, { ok: true, steps, claims: caller.claims });
    else io.out(`${caller.username} is a VPN node of ${caller.issuer}: its JWT is good.\n`);
  } catch (error) {
    if (!Error.isError(error)) throw error;
    const sentence = `${messageOf(error, parts.settings)}${steps.length === 0 ? '' : ` (after: ${names(steps)})`}`;
    if (options.json === true) refuseWithSteps(io, { sentence, steps, begun });
    else {
      io.out(`FAILED  ${begun}\n`);
      fail(io, sentence, 'failed');
    }
  }
}

interface Refused {
  readonly sentence: string;
  readonly steps: readonly Step[];
  readonly begun: string;
}

/** As `fail`, with what was done until then. */
function refuseWithSteps(io: Io, { sentence, steps, begun }: Refused): void {
  io.err(`${sentence}\n`);
  printJson(io, { error: { code: 'failed', message: sentence }, failed_step: begun, steps });
  io.setExitCode(EXIT.failed);
}

/** Hears which step begins, and which one is done. */
interface Telling {
  begins(name: string): void;
  done(step: Step): void;
}

const names = (steps: readonly Step[]): string => steps.map(({ name }) => name).join(', ');

/** The parts of a node; null, and told, where its environment does not do. */
function openParts(io: Io): Parts | null {
  try {
    const settings = fileSettings(io, readNodeSettings(io.env));
    const client = createOAuth2Client(settings);
    // Test tokens are not what is checked here, so a secret for them is no fault of this command's.
    const validator = createTokenValidator({ ...settings, testSecret: undefined });
    return { client, validator, service: createJwtService({ client, validator }), settings };
  } catch (error) {
    if (!Error.isError(error)) throw error;
    fail(io, error.message, 'invalid_configuration');
    return null;
  }
}

/** A file is named from where the command was typed. */
const fileSettings = ({ cwd }: Io, settings: NodeSettings): NodeSettings => {
  const { privateKeyFile: file } = settings;
  return file === undefined ? settings : { ...settings, privateKeyFile: resolve(cwd, file) };
};

async function runSteps(
  { client, validator, service, settings }: Parts,
  { forceRefresh, clearCache }: Options,
  telling: Telling,
): Promise<Caller> {
  const step = async <T>(name: string, work: () => Promise<T>, describe: (result: T) => string) => {
    telling.begins(name);
    const began = performance.now();
    const result = await work();
    telling.done({ name, result: describe(result), milliseconds: Math.round(performance.now() - began) });
    return result;
  };
  const oauth2Token = await step(
    'access token',
    () => client.getOAuth2Token(),
    () => 'issued',
  );
  const exchanged = await step(
    'exchange',
    () => client.getJwtToken(oauth2Token),
    () => 'VPN JWT issued',
  );
  const verify = () => verifyOwn(validator, exchanged, settings);
  const caller = await step('verification', verify, describeCaller);
  const kept = await step(
    'cache',
    () => service.getJwtToken(),
    () => describeHeld(service),
  );
  if (forceRefresh === true) {
    const again = () => getOther(kept, () => service.getJwtToken({ forceRefresh: true }));
    await step('forced refresh', again, () => 'another JWT issued');
  }
  if (clearCache === true) {
    const known = await service.getJwtToken();
    service.clearCache();
    await step(
      'cleared cache',
      () => getOther(known, () => service.getJwtToken()),
      () => 'another JWT issued',
    );
  }
  return caller;
}

/** It is the node's own that must come back, whatever else the keys verify. */
async function verifyOwn(validator: TokenValidator, jwt: string, settings: NodeSettings): Promise<Caller> {
  const caller = await validator.verify(jwt).catch((error: unknown) => {
    const difference = differenceOf(jwt, settings);
    throw difference === null ? error : new Error(`${difference}.`, { cause: error });
  });
  if (caller.kind === 'node') return caller;
  throw new Error('The JWT is not one of a node: check PORTBRO_VPN_AUTH_URL.');
}

/** Which claim is not the one that the settings name; null where it is something else. The JWT is not verified. */
function differenceOf(jwt: string, { issuer, audience }: NodeSettings): string | null {
  const { iss, aud } = claimsIn(jwt);
  if (iss !== undefined && iss !== issuer) {
    return `The JWT has iss ${shown(iss)}, PARENT_ISSUER is ${shown(issuer)}`;
  }
  if (aud === undefined || [aud].flat().includes(audience)) return null;
  return `The JWT has aud ${shown(aud)}, PARENT_AUDIENCE is ${shown(audience)}`;
}

/** None where it cannot be read. */
function claimsIn(jwt: string): Readonly<Record<string, unknown>> {
  try {
    const claims: unknown = JSON.parse(Buffer.from(jwt.split('.')[1] ?? '', 'base64url').toString());
    return typeof claims === 'object' && claims !== null ? { ...claims } : {};
  } catch {
    return {};
  }
}

const MAX_SHOWN = 200;

const shown = (claim: unknown): string => JSON.stringify(claim).slice(0, MAX_SHOWN);

const describeCaller = ({ username, claims }: Caller): string =>
  `good, of ${username} for ${String(claims['aud'])}`;

function describeHeld(service: JwtService): string {
  const held = service.held();
  return held === null ? 'nothing is kept' : `held; it expires at ${toInstant(held.expiresAt)}`;
}

async function getOther(known: string, get: () => Promise<string>): Promise<string> {
  const other = await get();
  if (other !== known) return other;
  throw new Error('The server gave the same JWT twice.');
}

/** What the guard says to callers needs a word more here, where nobody called. */
function messageOf({ message, ...error }: Error, { privateKeyFile, issuer }: NodeSettings): string {
  const { code, oauthError } = error as { readonly code?: unknown; readonly oauthError?: unknown }; // of the package
  if (oauthError === 'invalid_client' && privateKeyFile !== undefined) {
    return `${message} The key signs for PARENT_ISSUER, which is ${shown(issuer)}: it has to be the server’s issuer exactly.`;
  }
  if (code === 'ERR_GUARD_TOKEN_INVALID') {
    return `${message} Check PARENT_ISSUER, PARENT_AUDIENCE and PARENT_JWKS_URL.`;
  }
  if (code === 'ERR_GUARD_KEYS_UNAVAILABLE') return 'The keys cannot be read: check PARENT_JWKS_URL.';
  return message;
}
