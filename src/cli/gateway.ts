/**
 * `portcullis gateway generate`: the configuration of a gateway that lets customers in, by what this server says of each
 * request. It needs no server and no store. Each refusal is wrong usage (exit code 2).
 */
import fs from 'node:fs';
import { isIP } from 'node:net';
import path from 'node:path';

import { Argument } from 'commander';
import type { Command } from 'commander';

import { inspectConfig } from '../config.ts';
import { describeFault } from '../config/faults.ts';
import { errorCode } from '../config/secret-sources.ts';
import { GATEWAYS } from '../gateway/gateways.ts';
import type { Guarded, Origin } from '../gateway/guarded.ts';
import { printJson } from './io.ts';
import type { Io } from './io.ts';

const EXAMPLE = 'portcullis gateway generate nginx --upstream http://127.0.0.1:8022 --output nginx.conf';
/** What a format might read as more than a name is none, though a URL may hold it. */
const NAME = /^(?!unix$)(?!.*(?:\.\.|-\.))[a-z\d](?:[a-z\d._-]*[a-z\d])?$/;

interface Options {
  readonly upstream: string;
  readonly issuer?: string;
  readonly audience?: string;
  readonly listen?: string;
  readonly config?: string;
  readonly output?: string;
  readonly json?: true;
}

/** Adds `gateway generate`. */
export function registerGatewayCommands(program: Command, io: Io): void {
  program
    .command('gateway')
    .description('put a gateway in front of an API for customers')
    .command('generate')
    .description('write the configuration of a gateway that asks this server about each request')
    .addArgument(new Argument('<gateway>', 'which one').choices(Object.keys(GATEWAYS)))
    .requiredOption('--upstream <origin>', 'the API that it guards, such as http://127.0.0.1:8022')
    .option('--issuer <origin>', 'this server; the issuer of the settings where it is left out')
    .option('--audience <audience>', 'the audience of the tokens; customers.audience where it is left out')
    .option(
      '--listen <address>',
      'where nginx or envoy listens, IP:PORT or PORT; 127.0.0.1:8080 where it is left out',
    )
    .option('--config <file>', 'the settings file (CONFIG_FILE)')
    .option('--output <file>', 'write it to a new file instead of printing it; - prints it, too')
    .option('--json', 'print one JSON document')
    .addHelpText('after', `\nExample:\n  ${EXAMPLE}`)
    .action((gateway: string, options: Options, command: Command) => generate(io, gateway, options, command));
}

function generate(io: Io, gateway: string, options: Options, command: Command): void {
  const chosen = GATEWAYS[gateway];
  if (chosen === undefined) throw new Error(`no gateway ${gateway}`); // commander knows the choices
  const { listensBy, write } = chosen;
  if (options.listen !== undefined && listensBy !== null) {
    const rest = `${gateway} listens where ${listensBy} says; leave --listen out, and say it there`;
    return command.error(`error: --listen: found "${options.listen}"; expected none, since ${rest}`);
  }
  const { output, json } = options;
  const text = write(toGuarded(io, options, command));
  const file = output === undefined || output === '-' ? null : path.resolve(io.cwd, output);
  if (file !== null) writeNewFile(file, text, command);
  if (json === true) printJson(io, { gateway, ...(file !== null && { file }), text });
  else io.out(file === null ? text : `Wrote the configuration of ${gateway} to ${file}.\n`);
}

function toGuarded(io: Io, options: Options, command: Command): Guarded {
  const settings = settingsOf(io, options, command);
  return {
    issuer: readOrigin('--issuer', options.issuer ?? settings.issuer, command),
    upstream: readOrigin('--upstream', options.upstream, command),
    listen: readListen(options.listen ?? '8080', command),
    audience: readAudience(options.audience ?? settings.audience, command),
  };
}

/** The settings are looked at only where an option does not say it; their secrets are not. */
function settingsOf(
  io: Io,
  { issuer, audience, config }: Options,
  command: Command,
): { readonly issuer: string; readonly audience: string } {
  if (issuer !== undefined && audience !== undefined) return { issuer, audience };
  const { config: found, faults } = inspectConfig({ flags: { config }, env: io.env, cwd: io.cwd });
  const [fault] = faults.filter(
    ({ variable, path: setting }) =>
      variable === 'CONFIG_FILE' ||
      (issuer === undefined && setting === 'issuer') ||
      (audience === undefined && setting === 'customers.audience'),
  );
  if (fault !== undefined) return command.error(`error: ${describeFault(fault)}`);
  return { issuer: found.issuer, audience: found.customers.audience };
}

function readOrigin(option: string, text: string, command: Command): Origin {
  const isPlain = /^https?:\/\/[^\s/?#@\\]+\/?$/i.test(text) && URL.canParse(text);
  const { protocol, hostname, port, host: authority } = new URL(isPlain ? text : 'http://[::]');
  const host = hostname.replaceAll(/[[\]]/g, '');
  if (!isPlain || port === '0' || (isIP(host) === 0 && !NAME.test(host))) {
    return command.error(
      `error: ${option}: found "${withoutPassword(text)}"; expected an origin, http(s)://host[:port], without path, query, fragment and ` +
        `user, such as: ${option} ${option === '--issuer' ? 'https://auth.example.com' : 'http://127.0.0.1:8022'}`,
    );
  }
  const isTls = protocol === 'https:';
  const portNumber = port === '' ? (isTls ? 443 : 80) : Number(port);
  const endpoint = `${hostname}:${portNumber}`;
  return { isTls, host, isAddress: isIP(host) !== 0, port: portNumber, authority, endpoint };
}

const withoutPassword = (text: string): string => text.replace(/:[^:/]*@/, ':…@');

function readListen(text: string, command: Command): Guarded['listen'] {
  const { host = '127.0.0.1', port = '' } = /^(?:(?<host>.+):)?(?<port>\d{1,5})$/.exec(text)?.groups ?? {};
  const isBracketed = /^\[[^[\]%]+\]$/.test(host);
  const isAddress = isBracketed ? isIP(host.slice(1, -1)) === 6 : isIP(host) === 4;
  if (isAddress && Number(port) >= 1 && Number(port) <= 65_535) return { host, port: Number(port) };
  return command.error(
    `error: --listen: found "${text}"; expected an IP address and a port from 1 to 65535, or a port alone, ` +
      'such as: --listen 0.0.0.0:8080',
  );
}

/** Percent-encoded, also what `encodeURIComponent` leaves and a format may quote with. */
function readAudience(text: string, command: Command): string {
  if (/^[!-~]{1,255}$/.test(text)) {
    return encodeURIComponent(text).replaceAll(
      /[!'()*~]/g,
      (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`,
    );
  }
  return command.error(
    `error: --audience: found ${JSON.stringify(text)}; expected 1 to 255 printable ASCII characters without spaces, ` +
      'such as: --audience petstore',
  );
}

function writeNewFile(file: string, text: string, command: Command): void {
  try {
    fs.writeFileSync(file, text, { flag: 'wx', mode: 0o644, flush: true });
  } catch (error) {
    command.error(`error: --output: ${refusalOf(file, errorCode(error))}`);
  }
}

function refusalOf(file: string, code: string): string {
  if (code === 'EEXIST')
    return `found ${file}, which was left as it is; expected a new file: give --output another name`;
  if (code === 'ENOENT') return `found no folder of ${file}; expected one that is there: make it first`;
  return `${file} cannot be written (${code}); expected a place where this user may write: give --output another one`;
}
