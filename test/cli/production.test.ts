/**
 * What production refuses to start with, as an operator meets it: the process ends within five seconds with exit code
 * 1, and says the variable, what was found and the remedy, and never the secret.
 */
import { afterAll, expect, test } from '@jest/globals';
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { generateSecret } from '../../src/config/secret-format.ts';
import { PRODUCTION, STRONG } from '../config/load.ts';
import { endsWithin, makeFolder, ROOT, serve } from './serve-process.ts';
import type { ServeProcess } from './serve-process.ts';

const START_MS = 5_000;
const started: ServeProcess[] = [];

afterAll(() => {
  for (const server of started) server.signal('SIGKILL');
});

/** The lines of the refusal, one a fault. */
async function refused(
  env: Readonly<Record<string, string>>,
  cwd = makeFolder(),
): Promise<readonly string[]> {
  const { code, out, err } = await endsWithin(START_MS, () => {
    const server = serve({ ...PRODUCTION, PORT: '0', HOST: '127.0.0.1', ...env }, cwd);
    started.push(server);
    return server;
  });
  expect([code, out]).toEqual([1, '']);
  for (const value of Object.values(env)) {
    if (value.length > 20 && !value.includes('/')) expect(err).not.toContain(value);
  }
  return err.trimEnd().split('\n').slice(1);
}

test('refuses secrets that are missing, each by its name', async () => {
  expect(await refused({ SECRET_KEY: '', JWT_SECRET_KEY: '' })).toEqual([
    expect.stringMatching(/SECRET_KEY: not set; .*portcullis secrets generate --env production/),
    expect.stringMatching(/JWT_SECRET_KEY: not set; .*portcullis secrets generate --env production/),
  ]);
});

test('refuses the shipped samples, also as the keys before', async () => {
  const text = readFileSync(join(ROOT, 'config/production.env.example'), 'utf8');
  const sampleOf = (name: string): string => new RegExp(`^${name}=(.*)$`, 'm').exec(text)?.[1] ?? '';
  const [secretKey, jwtSecretKey] = [sampleOf('SECRET_KEY'), sampleOf('JWT_SECRET_KEY')];
  expect(await refused({ SECRET_KEY: secretKey, JWT_SECRET_KEY: jwtSecretKey })).toEqual([
    expect.stringMatching(/SECRET_KEY .*a sample or placeholder/),
    expect.stringMatching(/JWT_SECRET_KEY .*a sample or placeholder/),
  ]);
  expect(await refused({ SECRET_KEY_PREVIOUS: secretKey })).toEqual([
    expect.stringMatching(/SECRET_KEY_PREVIOUS .*a sample or placeholder.*portcullis keys reencrypt/),
  ]);
});

test('refuses a weak secret and one of development', async () => {
  const development = generateSecret('JWT_SECRET_KEY', 'development');
  expect(await refused({ SECRET_KEY: 'hunter2hunter2hunter2', JWT_SECRET_KEY: development })).toEqual([
    expect.stringMatching(/SECRET_KEY .*too short a value/),
    expect.stringMatching(/JWT_SECRET_KEY .*made for development/),
  ]);
});

test('refuses secrets that are the same, and a new one that is the one before it', async () => {
  const same = STRONG.SECRET_KEY.replace('pcl_sk', 'pcl_jk');
  expect(await refused({ JWT_SECRET_KEY: same })).toEqual([
    expect.stringMatching(/JWT_SECRET_KEY .*the same value as SECRET_KEY; expected another one/),
  ]);
  expect(
    await refused({
      SECRET_KEY_PREVIOUS: STRONG.SECRET_KEY,
      JWT_SECRET_KEY_PREVIOUS: STRONG.JWT_SECRET_KEY,
    }),
  ).toEqual([
    expect.stringMatching(/SECRET_KEY_PREVIOUS .*the same value as SECRET_KEY; expected another one/),
    expect.stringMatching(/JWT_SECRET_KEY_PREVIOUS .*the same value as JWT_SECRET_KEY; expected another one/),
  ]);
});

test('refuses an http issuer, debugging and missing rate limits', async () => {
  const env = { ISSUER: 'http://auth.example.com', DEBUG: 'true', RATE_LIMITS: 'off' };
  expect(await refused(env)).toEqual([
    expect.stringMatching(/ISSUER .*Set ISSUER=https:\/\/auth\.example\.com/),
    expect.stringMatching(/DEBUG .*Unset DEBUG/),
    expect.stringMatching(/RATE_LIMITS .*Set RATE_LIMITS=on/),
  ]);
});

test('refuses key files, and files of secrets, that others may read', async () => {
  const cwd = makeFolder();
  const write = (name: string, text: string): string => {
    const file = join(cwd, name);
    writeFileSync(file, text);
    chmodSync(file, 0o644);
    return file;
  };
  mkdirSync(join(cwd, 'keys'), { mode: 0o700 });
  const pem = write('keys/main.pem', '');
  const key = write('secret-key', STRONG.SECRET_KEY);
  const previous = write('previous', generateSecret('SECRET_KEY', 'production'));
  const env = { SECRET_KEY: '', SECRET_KEY_FILE: key, SECRET_KEY_PREVIOUS_FILE: previous };
  const faults = await refused(env, cwd);
  expect(faults).toHaveLength(3);
  for (const file of [pem, key, previous]) {
    expect(faults.join('\n')).toContain(`${file}): mode 0644, so others may read or change it`);
    expect(faults.join('\n')).toContain(`chmod 0600 ${file}`);
  }
});

test('refuses TRUST_PROXY that would trust everybody', async () => {
  expect(await refused({ TRUST_PROXY: '0.0.0.0/0' })).toEqual([
    expect.stringMatching(/TRUST_PROXY .*found \["0\.0\.0\.0\/0"\].*Set TRUST_PROXY=1/),
  ]);
});
