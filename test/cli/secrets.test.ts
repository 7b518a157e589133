// `portcullis secrets generate`.
import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from '@jest/globals';

import { registerSecretsCommands } from '../../src/cli/secrets.ts';
import { PRODUCTION, faultsOf, load, makeFolder, writeFile } from '../config/load.ts';
import { run } from './run.ts';
import type { Ran } from './run.ts';

const LINES =
  /^SECRET_KEY=(pcl_sk_(?:prod|dev)_[\w-]{43})\nJWT_SECRET_KEY=(pcl_jk_(?:prod|dev)_[\w-]{43})\n$/;

const generate = (argv: readonly string[] = [], cwd = makeFolder()): Promise<Ran> =>
  run(registerSecretsCommands, ['secrets', 'generate', ...argv], { cwd });

function parse(text: string): { SECRET_KEY: string; JWT_SECRET_KEY: string } {
  const [, SECRET_KEY = '', JWT_SECRET_KEY = ''] = LINES.exec(text) ?? [];
  return { SECRET_KEY, JWT_SECRET_KEY };
}

describe('secrets generate', () => {
  test('prints the two lines of an env file, and nothing else', async () => {
    const { out, err, code } = await generate();
    expect([err, code]).toEqual(['', 0]);
    expect(out).toMatch(LINES);
  });

  test('never makes the same twice', async () => {
    const runs = await Promise.all(Array.from({ length: 20 }, () => generate()));
    const secrets = runs.flatMap(({ out }) => Object.values(parse(out)).map((secret) => secret.slice(-43)));
    expect(new Set(secrets).size).toBe(40);
  });

  test('production starts with those for production, which are the default, and refuses those for development', async () => {
    for (const argv of [[], ['--env', 'production']]) {
      const secrets = parse((await generate(argv)).out);
      expect(load({ env: { ...PRODUCTION, ...secrets } }).secrets.secretKey).toBe(secrets.SECRET_KEY);
    }
    const development = parse((await generate(['--env', 'development'])).out);
    expect(load({ env: development }).warnings).toEqual([]);
    expect(faultsOf({ env: { ...PRODUCTION, ...development } })).toEqual([
      expect.stringMatching(/^SECRET_KEY .*made for development/),
      expect.stringMatching(/^JWT_SECRET_KEY .*made for development/),
    ]);
  });

  test('--json prints one document', async () => {
    const { out } = await generate(['--json']);
    expect(JSON.parse(out)).toEqual({
      SECRET_KEY: expect.stringMatching(/^pcl_sk_prod_/),
      JWT_SECRET_KEY: expect.stringMatching(/^pcl_jk_prod_/),
    });
  });

  test('--output writes a file of mode 0600 and prints no secret', async () => {
    const cwd = makeFolder();
    const file = path.join(cwd, 'portcullis.env');
    const { out, err, code } = await generate(['--output', 'portcullis.env'], cwd);
    expect([out, err, code]).toEqual([
      `Wrote SECRET_KEY and JWT_SECRET_KEY to ${file} (mode 0600).\n`,
      '',
      0,
    ]);
    expect(fs.readFileSync(file, 'utf8')).toMatch(LINES);
    expect(fs.statSync(file).mode & 0o777).toBe(0o600);
    const json = await generate(['--output', 'other.env', '--json'], cwd);
    expect(JSON.parse(json.out)).toEqual({
      file: path.join(cwd, 'other.env'),
      variables: ['SECRET_KEY', 'JWT_SECRET_KEY'],
    });
  });

  test('--output never overwrites, not even through a link', async () => {
    const cwd = makeFolder();
    writeFile(cwd, 'there', 'kept');
    fs.symlinkSync('absent', path.join(cwd, 'link'));
    for (const name of ['there', 'link']) {
      const { out, err, code } = await generate(['--output', name], cwd);
      expect([out, code]).toEqual(['', 1]);
      expect(err).toContain('is there already and was left as it is');
    }
    expect(fs.readFileSync(path.join(cwd, 'there'), 'utf8')).toBe('kept');
    expect(fs.existsSync(path.join(cwd, 'absent'))).toBe(false);
  });

  test('--output says what is wrong with a place that cannot be written', async () => {
    const cwd = makeFolder();
    writeFile(cwd, 'file', '');
    const absent = await generate(['--output', 'absent/x'], cwd);
    expect([absent.code, absent.err]).toEqual([1, expect.stringContaining('does not exist: make it first')]);
    const below = await generate(['--output', 'file/x'], cwd);
    expect([below.code, below.err]).toEqual([1, expect.stringContaining('cannot be written (ENOTDIR)')]);
  });

  test('another environment is wrong usage, and its help ends with an example', async () => {
    const { code, err } = await generate(['--env', 'staging']);
    expect([code, err]).toEqual([2, expect.stringContaining('development, production')]);
    expect((await generate(['--help'])).out).toMatch(/Example:\n {2}portcullis secrets generate .*\n$/);
  });
});
