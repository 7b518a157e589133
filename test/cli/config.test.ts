// `portcullis config print` and `config schema`.
import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from '@jest/globals';

import { registerConfigCommands } from '../../src/cli/config.ts';
import { SETTINGS, SETTING_NAMES } from '../../src/config/settings.ts';
import { PRODUCTION, STRONG, makeFolder, writeFile } from '../config/load.ts';
import { run } from './run.ts';
import type { Ran } from './run.ts';

const config = (
  argv: readonly string[],
  env: Readonly<Record<string, string>> = {},
  cwd = makeFolder(),
): Promise<Ran> => run(registerConfigCommands, ['config', ...argv], { cwd, env });

describe('config print', () => {
  test('shows every setting with its value and source, and of secrets only that they are set', async () => {
    const cwd = makeFolder();
    writeFile(cwd, 'settings.yaml', 'log_level: warn\n');
    const env = {
      ...STRONG,
      DATABASE_URL: 'mongodb://user:hunter2@db/x?replicaSet=rs0',
      METRICS_ADDRESS: '[::1]:9000',
    };
    const { out, err, code } = await config(
      ['print', '--config', 'settings.yaml', '--port', '9001'],
      env,
      cwd,
    );
    expect([err, code]).toEqual(['', 0]);
    expect(out).toMatch(/^SETTING +VALUE +SOURCE\n/);
    for (const name of SETTING_NAMES) expect(out).toMatch(new RegExp(`^${SETTINGS[name].path} `, 'm'));
    expect(out).toMatch(/^port +9001 +flag --port$/m);
    // The longest values do not widen the column: a line of the others fits.
    expect(/^SETTING.*$/m.exec(out)?.[0].length).toBeLessThan(110);
    expect(out).toMatch(/^issuer +http:\/\/localhost:9001 +default$/m);
    expect(out).toMatch(/^log_level +warn +.*settings\.yaml:1$/m);
    expect(out).toMatch(/^metrics_address +\[::1\]:9000 +environment METRICS_ADDRESS$/m);
    expect(out).toMatch(
      /^database_url +mongodb:\/\/\*\*\*@db\/x\?replicaSet=rs0 +environment DATABASE_URL$/m,
    );
    expect(out).toMatch(/^SECRET_KEY +set \(from environment SECRET_KEY\)$/m);
    expect(out).toMatch(/^SMTP_URL +missing$/m);
    for (const secret of ['hunter2', STRONG.SECRET_KEY, STRONG.JWT_SECRET_KEY])
      expect(out).not.toContain(secret);
  });

  test('--json prints one document', async () => {
    const { out, err, code } = await config(['print', '--json'], { ...PRODUCTION, METRICS_ADDRESS: 'off' });
    expect([err, code]).toEqual(['', 0]);
    expect(JSON.parse(out)).toMatchObject({
      settings: {
        port: { value: 8011, source: 'default', env: 'PORT' },
        issuer: { value: 'https://auth.example.com', source: 'environment ISSUER' },
        metrics_address: { value: 'off' },
        'vpn.roles': { value: { basic: 10, manager: 30, admin: 50 }, env: null },
      },
      secrets: { SECRET_KEY: { set: true, source: 'environment SECRET_KEY' }, SMTP_URL: { set: true } },
      faults: [],
      warnings: [],
    });
    expect(out).not.toContain(STRONG.SECRET_KEY);
  });

  test('tells all faults and warnings beside the settings in force, and exits 1', async () => {
    const env = { ISSUER: 'https://auth.example.com', PORT: 'x', RATE_LIMITS: 'off' };
    const text = await config(['print'], env);
    expect(text.code).toBe(1);
    expect(text.out).toMatch(/^port +8011 +default$/m);
    expect(text.out).toMatch(/^rate_limits +off +environment RATE_LIMITS$/m);
    expect(text.err).toContain('warning: TRUST_PROXY');
    expect(text.err).toContain('The configuration has 4 faults:\n  - PORT [port]');
    const json = await config(['print', '--json'], env);
    expect([json.code, json.err]).toEqual([1, '']);
    expect(JSON.parse(json.out)).toMatchObject({ faults: { length: 4 }, warnings: { length: 2 } });
  });

  test('makes no secrets of development, and tells those that are there', async () => {
    const cwd = makeFolder();
    expect((await config(['print'], {}, cwd)).out).toMatch(/^SECRET_KEY +missing$/m);
    expect(fs.readdirSync(cwd)).toEqual([]);
    fs.mkdirSync(path.join(cwd, 'var'));
    const file = writeFile(cwd, 'var/development-secrets', 'SECRET_KEY=hunter2\nJWT_SECRET_KEY=hunter3\n');
    const { out } = await config(['print'], {}, cwd);
    expect(out).toContain(`set (from ${file})`);
    expect(out).not.toContain('hunter');
    writeFile(cwd, 'var/development-secrets', '');
    expect((await config(['print'], {}, cwd)).code).toBe(1);
    expect((await config(['print'], STRONG, cwd)).code).toBe(0);
  });

  test('refuses an unknown option as wrong usage, and its help ends with an example', async () => {
    expect((await config(['print', '--prot', '1'])).code).toBe(2);
    for (const command of ['print', 'schema']) {
      const { out, code } = await config([command, '--help']);
      expect(code).toBe(0);
      expect(out).toMatch(/Example:\n {2}.*portcullis config .*\n$/);
    }
  });
});

describe('config schema', () => {
  test('prints the JSON Schema of the settings file, strict, with defaults and descriptions', async () => {
    const { out, code } = await config(['schema']);
    expect(code).toBe(0);
    expect(JSON.parse(out)).toMatchObject({
      $schema: 'https://json-schema.org/draft/2020-12/schema',
      type: 'object',
      additionalProperties: false,
      properties: {
        port: {
          type: 'integer',
          minimum: 0,
          maximum: 65535,
          default: 8011,
          description: SETTINGS.port.about,
        },
        database_url: { type: 'string', default: 'sqlite:var/portcullis.db' },
        cors_allowed_origins: { type: 'array', default: [] },
        vpn: {
          type: 'object',
          additionalProperties: false,
          properties: { audience: { default: 'vpn-node' } },
        },
      },
    });
    expect((await config(['schema', '--json'])).out).toBe(out);
  });
});
