/**
 * What production refuses: http, debugging, missing rate limits, weak secrets, and files of secrets that others
 * may read or change. Each fault ends with why production rules apply where nobody asked for them by name.
 */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';

import type { Config } from '../config.ts';
import type { ConfigFault, Source } from './faults.ts';
import { settingFault } from './refusals.ts';
import type { Sources } from './resolve.ts';
import { errorCode } from './secret-sources.ts';
import type { Env } from './secret-sources.ts';
import { isOurDebug } from './settings.ts';

const GROUP_OR_WORLD_WRITABLE = 0o022;
const WORLD_READABLE = 0o004;
const WORLD_WRITABLE = 0o002;
const SECRET_FORBIDDEN = WORLD_READABLE | GROUP_OR_WORLD_WRITABLE;

/** Whether the mode of a file with a secret lets others read or change it, by the rules of production. */
export const isOpenToOthers = (mode: number): boolean =>
  os.platform() !== 'win32' && (mode & SECRET_FORBIDDEN) !== 0;

/** The faults of settings that are fine in development only. A loopback issuer is allowed, with https. */
export function settingFaults(
  config: Config,
  sources: Sources,
  env: Env,
  hasMail: boolean,
): readonly ConfigFault[] {
  const faults: ConfigFault[] = [];
  if (config.registration.isEnabled && config.registration.conceals && !hasMail) {
    const found = 'found on, but without SMTP_URL nobody gets the mail that registering then waits for';
    const remedy = 'Set SMTP_URL, or set REGISTRATION_CONCEAL=off.';
    const source = sources.concealsRegistration;
    faults.push(settingFault('concealsRegistration', source, found, 'off where no mail is sent', remedy));
  }
  if (config.issuer.startsWith('http:')) {
    const found = `found ${config.issuer}, where anybody on the way reads every token`;
    const remedy = `Set ISSUER=${config.issuer.replace('http:', 'https:')} and let a reverse proxy speak TLS for it.`;
    faults.push(settingFault('issuer', sources.issuer, found, 'an https: origin in production', remedy));
  }
  if (config.debug || !isOurDebug(env['DEBUG'] ?? '')) {
    // With namespaces the npm package of that name has libraries print what they work on.
    const source: Source = config.debug ? sources.debug : { kind: 'environment', name: 'DEBUG' };
    const found = config.debug ? 'found true' : 'found namespaces of the npm package debug';
    faults.push(
      settingFault('debug', source, found, 'false in production', 'Unset DEBUG, or set DEBUG=false.'),
    );
  }
  if (!config.rateLimits) {
    const remedy = 'Set RATE_LIMITS=on; a load test runs with NODE_ENV=development.';
    faults.push(settingFault('rateLimits', sources.rateLimits, 'found off', 'on in production', remedy));
  }
  return faults;
}

/** The faults of key files and secret files that others may read or change. */
export function fileFaults(keysFolder: string, secretSources: readonly Source[]): readonly ConfigFault[] {
  if (os.platform() === 'win32') return []; // access lists there, and the mode says nothing
  return [
    ...keyFileFaults(keysFolder),
    ...secretSources.flatMap((source) =>
      source.kind === 'secret file' ? modeFaults(source.name, source.file, SECRET_FORBIDDEN) : [],
    ),
  ];
}

/** Adds to each fault why production rules apply though NODE_ENV does not say so. */
export function explainProduction(faults: readonly ConfigFault[], issuer: string): readonly ConfigFault[] {
  const why = `Production rules apply because NODE_ENV names no environment and the issuer ${issuer} is no loopback address; while you develop, set NODE_ENV=development.`;
  return faults.map((fault) => ({ ...fault, remedy: `${fault.remedy} ${why}` }));
}

function keyFileFaults(folder: string): readonly ConfigFault[] {
  try {
    const files = fs.readdirSync(folder).filter((file) => file.endsWith('.pem'));
    return [
      // Whoever may add a file here has it imported as a signing key.
      ...modeFaults('KEYS_DIR', folder, WORLD_WRITABLE),
      ...files.flatMap((file) => modeFaults('KEYS_DIR', path.join(folder, file), SECRET_FORBIDDEN)),
    ];
  } catch (error) {
    const found = `the folder cannot be read (${errorCode(error)})`;
    return errorCode(error) === 'ENOENT'
      ? []
      : [diskFault('KEYS_DIR', folder, found, 'Let this user read it.')];
  }
}

function modeFaults(variable: string, file: string, forbidden: number): readonly ConfigFault[] {
  try {
    const { mode } = fs.statSync(file);
    if ((mode & forbidden) === 0) return [];
    const octal = (mode & 0o777).toString(8).padStart(4, '0');
    const right = variable === 'KEYS_DIR' && forbidden === WORLD_WRITABLE ? '0700' : '0600';
    const mounted =
      variable === 'KEYS_DIR' ? '' : '; for a mounted secret, give it mode 0400 (Kubernetes: defaultMode)';
    const found = `mode ${octal}, so others may read or change it`;
    return [diskFault(variable, file, found, `Run \`chmod ${right} ${file}\`${mounted}.`)];
  } catch (error) {
    return [diskFault(variable, file, `it cannot be read (${errorCode(error)})`, 'Let this user read it.')];
  }
}

function diskFault(variable: string, file: string, found: string, remedy: string): ConfigFault {
  const expected = 'a file or folder that its owner alone may change, and that not everybody may read';
  const settingPath = variable === 'KEYS_DIR' ? 'keys_dir' : null;
  return { variable, path: settingPath, source: { kind: 'disk', file }, found, expected, remedy };
}
