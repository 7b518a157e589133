/** What the tests of the configuration share: a folder of its own for each, and a load that reads nothing else. */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';

import { loadConfig } from '../../src/config.ts';
import type { Config, ConfigFlags, Secrets } from '../../src/config.ts';
import { describeFault } from '../../src/config/faults.ts';
import type { Sources } from '../../src/config/resolve.ts';
import { generateSecret } from '../../src/config/secret-format.ts';

export interface Given {
  readonly env?: Readonly<Record<string, string>>;
  readonly flags?: ConfigFlags;
  /** The text of the settings file. */
  readonly yaml?: string;
  readonly cwd?: string;
}

export interface Loaded {
  readonly config: Config;
  readonly secrets: Secrets;
  readonly sources: Sources;
  readonly warnings: readonly string[];
}

/** Strong secrets, as production takes them. */
export const STRONG = {
  SECRET_KEY: generateSecret('SECRET_KEY', 'production'),
  JWT_SECRET_KEY: generateSecret('JWT_SECRET_KEY', 'production'),
};

/** An environment that production starts with. */
export const PRODUCTION = {
  ...STRONG,
  SMTP_URL: 'smtps://mail.example.com',
  NODE_ENV: 'production',
  ISSUER: 'https://auth.example.com',
  TRUST_PROXY: '1',
};

/** Makes an empty folder. */
export function makeFolder(): string {
  return fs.mkdtempSync(path.join(os.tmpdir(), 'portcullis-config-'));
}

/** Writes a file and sets its mode, whatever the umask. */
export function writeFile(folder: string, name: string, text: string, mode = 0o600): string {
  const file = path.join(folder, name);
  fs.writeFileSync(file, text);
  fs.chmodSync(file, mode);
  return file;
}

/** Loads; throws the faults where there are any. */
export function load(given: Given = {}): Loaded {
  const result = attempt(given);
  if (!result.ok) throw new Error(result.faults.map(describeFault).join('\n'));
  return { ...result, warnings: result.warnings.map(describeFault) };
}

/** The faults of a load that is refused, as sentences. */
export function faultsOf(given: Given): readonly string[] {
  const result = attempt(given);
  return result.ok ? [] : result.faults.map(describeFault);
}

function attempt({ env = {}, flags = {}, yaml, cwd = makeFolder() }: Given): ReturnType<typeof loadConfig> {
  const defaultFile = path.join(cwd, 'portcullis.yaml');
  if (yaml !== undefined) fs.writeFileSync(defaultFile, yaml);
  return loadConfig({ flags, env, cwd, defaultFile });
}
