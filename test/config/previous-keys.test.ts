// SECRET_KEY_PREVIOUS and JWT_SECRET_KEY_PREVIOUS: where they come from, and what is refused of them.
import { describe, expect, test } from '@jest/globals';
import fs from 'node:fs';

import { inspectConfig, signingSecretsOf } from '../../src/config.ts';
import { generateSecret } from '../../src/config/secret-format.ts';
import { PRODUCTION, STRONG, faultsOf, load, makeFolder, writeFile } from './load.ts';

const NAMES = ['SECRET_KEY_PREVIOUS', 'JWT_SECRET_KEY_PREVIOUS'] as const;
const PREVIOUS = {
  SECRET_KEY_PREVIOUS: generateSecret('SECRET_KEY', 'production'),
  JWT_SECRET_KEY_PREVIOUS: generateSecret('JWT_SECRET_KEY', 'production'),
};

describe('the keys before the present ones', () => {
  test('are none where none are given', () => {
    const { secrets } = load({ env: STRONG });
    expect(secrets).toMatchObject({ previousSecretKey: null, previousJwtSecretKey: null });
    expect(signingSecretsOf(secrets)).toEqual([STRONG.JWT_SECRET_KEY]);
  });

  test('come from the environment, or from the files that NAME_FILE names', () => {
    const cwd = makeFolder();
    const expected = {
      previousSecretKey: PREVIOUS.SECRET_KEY_PREVIOUS,
      previousJwtSecretKey: PREVIOUS.JWT_SECRET_KEY_PREVIOUS,
    };
    const { secrets } = load({ cwd, env: { ...PRODUCTION, ...PREVIOUS } });
    expect(secrets).toMatchObject(expected);
    expect(signingSecretsOf(secrets)).toEqual([STRONG.JWT_SECRET_KEY, PREVIOUS.JWT_SECRET_KEY_PREVIOUS]);
    for (const name of NAMES) writeFile(cwd, name, `${PREVIOUS[name]}\n`);
    const files = { SECRET_KEY_PREVIOUS_FILE: NAMES[0], JWT_SECRET_KEY_PREVIOUS_FILE: NAMES[1] };
    expect(load({ cwd, env: { ...PRODUCTION, ...files } }).secrets).toMatchObject(expected);
  });

  test.each(NAMES)(
    '%s is refused where it is weak, of development, of the other kind, or missing in its file',
    (name) => {
      const cwd = makeFolder();
      const isOfJwt = name.startsWith('JWT');
      const weak = [
        ['hunter2', 'too short a value'],
        [generateSecret(isOfJwt ? 'JWT_SECRET_KEY' : 'SECRET_KEY', 'development'), 'made for development'],
        [
          generateSecret(isOfJwt ? 'SECRET_KEY' : 'JWT_SECRET_KEY', 'production'),
          'a secret that was made as',
        ],
      ] as const;
      for (const [value, found] of weak) {
        const faults = faultsOf({ cwd, env: { ...PRODUCTION, [name]: value } });
        expect(faults).toEqual([expect.stringMatching(new RegExp(`^${name} .*${found}.*unset it`))]);
        expect(faults[0]).not.toContain(value);
      }
      expect(faultsOf({ cwd, env: { ...PRODUCTION, [`${name}_FILE`]: 'absent' } })).toEqual([
        expect.stringMatching(new RegExp(`^${name}_FILE .*cannot be read \\(ENOENT\\)`)),
      ]);
    },
  );

  test.each([
    ['SECRET_KEY_PREVIOUS', 'SECRET_KEY', STRONG.SECRET_KEY],
    ['JWT_SECRET_KEY_PREVIOUS', 'JWT_SECRET_KEY', STRONG.JWT_SECRET_KEY],
    ['JWT_SECRET_KEY_PREVIOUS', 'SECRET_KEY', STRONG.SECRET_KEY.replace('pcl_sk', 'pcl_jk')],
  ])('%s that is %s still is refused in production, and a warning in development', (name, same, value) => {
    const env = { ...PRODUCTION, [name]: value };
    const sentence = new RegExp(`^${name} .*the same value as ${same}; expected another one\\. .*before`);
    expect(faultsOf({ env })).toEqual([expect.stringMatching(sentence)]);
    const { warnings } = load({ env: { ...env, NODE_ENV: 'development', ISSUER: '' } });
    expect(warnings).toEqual([expect.stringMatching(sentence)]);
  });

  test('a file of one that others may read is refused in production', () => {
    const cwd = makeFolder();
    const file = writeFile(cwd, 'key', PREVIOUS.SECRET_KEY_PREVIOUS, 0o644);
    expect(faultsOf({ cwd, env: { ...PRODUCTION, SECRET_KEY_PREVIOUS_FILE: file } })).toEqual([
      expect.stringMatching(/^SECRET_KEY_PREVIOUS_FILE .*mode 0644/),
    ]);
    fs.chmodSync(file, 0o600);
    expect(faultsOf({ cwd, env: { ...PRODUCTION, SECRET_KEY_PREVIOUS_FILE: file } })).toEqual([]);
  });

  test('are not taken from the settings file', () => {
    const faults = faultsOf({ env: STRONG, yaml: 'secret_key_previous: hunter2' });
    expect(faults).toEqual([
      expect.stringMatching(/set SECRET_KEY_PREVIOUS, or SECRET_KEY_PREVIOUS_FILE, in the/),
    ]);
    expect(faults[0]).not.toContain('hunter2');
  });

  test('are told by where they come from, never by their value', () => {
    const { secretSources } = inspectConfig({
      flags: {},
      env: { ...STRONG, ...PREVIOUS },
      cwd: makeFolder(),
    });
    for (const name of NAMES) expect(secretSources[name]).toEqual({ kind: 'environment', name });
  });
});
