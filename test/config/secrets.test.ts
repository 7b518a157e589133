// The secrets: where they come from, which are weak, which files production refuses, what development makes.
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';

import { generateSecret } from '../../src/config/secret-format.ts';
import { weaknessOf } from '../../src/config/secret-strength.ts';
import { NO_LINKS } from '../support/no-links.ts';
import { PRODUCTION, STRONG, faultsOf, load, makeFolder, writeFile } from './load.ts';

const ROOT = path.join(import.meta.dirname, '../..');
const SECRET_NAMES = ['SECRET_KEY', 'JWT_SECRET_KEY', 'DATABASE_URL', 'SMTP_URL'] as const;

describe('where a secret comes from', () => {
  test('the environment, or the file that NAME_FILE names', () => {
    const cwd = makeFolder();
    writeFile(cwd, 'key', `${STRONG.SECRET_KEY}\r\n`);
    const { JWT_SECRET_KEY } = STRONG;
    const { secrets } = load({
      cwd,
      env: { SECRET_KEY_FILE: 'key', JWT_SECRET_KEY, SMTP_URL: 'smtps://u:p@h' },
    });
    expect(secrets).toEqual({
      secretKey: STRONG.SECRET_KEY,
      previousSecretKey: null,
      jwtSecretKey: JWT_SECRET_KEY,
      previousJwtSecretKey: null,
      vpnTestSecret: null,
      databaseUrl: `sqlite:${path.join(cwd, 'var/portcullis.db')}`,
      smtpUrl: 'smtps://u:p@h',
    });
    expect(load({ env: STRONG }).secrets.smtpUrl).toBeNull();
  });

  test.each(SECRET_NAMES)('%s and its _FILE together are refused', (name) => {
    const faults = faultsOf({
      env: { ...PRODUCTION, [name]: 'hunter2', [`${name}_FILE`]: '/run/secrets/x' },
    });
    expect(faults).toEqual([
      expect.stringContaining(`both are set; expected one of the two. Unset ${name} or ${name}_FILE.`),
    ]);
    expect(faults.join()).not.toContain('hunter2');
  });

  test.each(SECRET_NAMES)('%s_FILE that cannot be used is told once', (name) => {
    const cwd = makeFolder();
    const others: Readonly<Record<string, string>> = { ...PRODUCTION, [name]: '' };
    const faultOf = (file: string): string => {
      const faults = faultsOf({ cwd, env: { ...others, [`${name}_FILE`]: file } });
      expect(faults).toHaveLength(1);
      return faults[0] ?? '';
    };
    writeFile(cwd, 'empty', '\n');
    writeFile(cwd, 'lines', 'SECRET_KEY=hunter2\nJWT_SECRET_KEY=hunter2\n');
    writeFile(cwd, 'large', 'hunter2'.repeat(10_000));
    expect(faultOf(path.join(cwd, 'absent'))).toContain(`${cwd}/absent cannot be read (ENOENT)`);
    expect(faultOf('absent')).toContain('its name is not shown');
    expect(faultOf(cwd)).toContain('EISDIR');
    expect(faultOf('empty')).toContain(
      `is empty; expected a readable file that holds the value of ${name} alone`,
    );
    expect(faultOf('lines')).toMatch(/holds several lines.*without .*_?[A-Z]+=/);
    expect(faultOf('large')).toContain('larger than 64 KiB');
    expect(faultOf('lines')).not.toContain('hunter2');
  });

  test('a secret that was put into NAME_FILE by mistake is not shown', () => {
    for (const secret of [
      STRONG.SECRET_KEY,
      'mongodb://u:hunter2@h',
      `/${randomBytes(32).toString('base64')}`,
      'hunter2',
    ]) {
      const { SECRET_KEY: _, ...others } = PRODUCTION;
      const faults = faultsOf({ env: { ...others, SECRET_KEY_FILE: secret } });
      expect(faults).toHaveLength(1);
      expect(faults[0]).not.toContain(secret);
      expect(faults[0]).toContain('Set SECRET_KEY_FILE to the path of a file');
    }
  });

  test('an SMTP_URL that cannot be used is refused without showing it', () => {
    for (const SMTP_URL of ['hunter2', 'http://u:hunter2@h', 'smtp://', 'smtp://u:hunter2@h:99999']) {
      const faults = faultsOf({ env: { ...STRONG, SMTP_URL } });
      expect(faults).toEqual([
        expect.stringMatching(/^SMTP_URL \(environment SMTP_URL\).*Set SMTP_URL=smtps:/),
      ]);
      expect(faults.join()).not.toContain('hunter2');
    }
  });
});

describe('the strength of a secret', () => {
  const weak: readonly (readonly [string, string, string])[] = [
    ['random base64 of 31 bytes', randomBytes(31).toString('base64url'), 'too short'],
    ['random hex of 31 bytes', randomBytes(31).toString('hex'), 'too short'],
    ['a truncated secret of our own', STRONG.SECRET_KEY.slice(0, -1), 'too short'],
    ['64 digits', '1415926535897932384626433832795028841971693993751058209749445923', 'too short'],
    ['one character', 'aB'.padEnd(64, 'B'), 'few different characters'],
    ['a repeated text', 'q8Zr5TnXw2KdLm7VbYc3'.repeat(3), 'repeats itself'],
    ['a repeated text that is cut off', 'q8Zr5TnXw2KdLm7VbYc3JhGf'.repeat(2).slice(0, 47), 'repeats itself'],
    ['the alphabet', 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789', 'neighbouring'],
    ['a phrase', 'Correct horse battery staple and then some more of it 1842', 'spaces'],
    ['other characters', `é${STRONG.SECRET_KEY}`, 'ASCII'],
    [
      'base64 of a text',
      Buffer.from('Four score and seven years ago our fathers').toString('base64'),
      'text in base64',
    ],
    [
      'hex of a text',
      Buffer.from('Four score and seven years ago our fathers').toString('hex'),
      'text in base64 or hex',
    ],
    ['a Django sample', 'django-insecure-8w#k2!v0q@1z$x7^m5&c3*b9(n6)j4h2g0f8d', 'a sample or placeholder'],
    ['change me', `ChangeMe${randomBytes(32).toString('base64url')}`, 'a sample or placeholder'],
    [
      'base64 of a sample',
      Buffer.from(`change-me ${'q8Zr5TnXw2KdLm7V'.repeat(2)}`).toString('base64'),
      'a sample',
    ],
    ['the other secret', STRONG.JWT_SECRET_KEY, 'made as JWT_SECRET_KEY'],
  ];

  test.each(weak)('%s is weak: production refuses it, development warns', (_, SECRET_KEY, reason) => {
    const { JWT_SECRET_KEY } = PRODUCTION;
    const env =
      SECRET_KEY === JWT_SECRET_KEY
        ? { ...PRODUCTION, JWT_SECRET_KEY: generateSecret('JWT_SECRET_KEY', 'production') }
        : PRODUCTION;
    const faults = faultsOf({ env: { ...env, SECRET_KEY } });
    expect(faults).toHaveLength(1);
    expect(faults[0]).toMatch(
      /^SECRET_KEY \(environment SECRET_KEY\).*portcullis secrets generate --env production/,
    );
    expect(faults[0]).toContain(reason);
    expect(faults[0]).not.toContain(SECRET_KEY);

    const { warnings, secrets } = load({
      env: { ...env, TRUST_PROXY: '0', NODE_ENV: 'test', ISSUER: '', SECRET_KEY },
    });
    expect(secrets.secretKey).toBe(SECRET_KEY);
    expect(warnings).toEqual([expect.stringContaining(reason)]);
  });

  test('32 random bytes are strong in base64, base64url, hex and as generated', () => {
    for (let round = 0; round < 500; round += 1) {
      const random = randomBytes(32);
      const secrets = (['base64', 'base64url', 'hex'] as const).map((encoding) => random.toString(encoding));
      secrets.push(generateSecret('SECRET_KEY', 'development'), generateSecret('SECRET_KEY', 'production'));
      expect(secrets.map((secret) => weaknessOf(secret, 'SECRET_KEY'))).toEqual([
        null,
        null,
        null,
        null,
        null,
      ]);
    }
  });

  test('production refuses missing secrets, secrets of development, and two that are the same bits', () => {
    const { SECRET_KEY, JWT_SECRET_KEY, ...others } = PRODUCTION;
    expect(faultsOf({ env: others })).toEqual([
      expect.stringMatching(/^SECRET_KEY: not set; .*set SECRET_KEY or SECRET_KEY_FILE\.$/),
      expect.stringMatching(/^JWT_SECRET_KEY: not set; .*set JWT_SECRET_KEY or JWT_SECRET_KEY_FILE\.$/),
    ]);
    const development = generateSecret('SECRET_KEY', 'development');
    expect(faultsOf({ env: { ...PRODUCTION, SECRET_KEY: development } })).toEqual([
      expect.stringMatching(/^SECRET_KEY .*made for development/),
    ]);
    const random = randomBytes(32);
    for (const [one, other] of [
      [SECRET_KEY, SECRET_KEY.replace('pcl_sk', 'pcl_jk')],
      [random.toString('hex'), random.toString('base64')],
      [random.toString('base64'), random.toString('base64url')],
    ]) {
      expect(faultsOf({ env: { ...others, SECRET_KEY: one ?? '', JWT_SECRET_KEY: other ?? '' } })).toEqual([
        expect.stringMatching(/^JWT_SECRET_KEY .*the same value as SECRET_KEY/),
      ]);
    }
    expect(faultsOf({ env: { ...others, SECRET_KEY, JWT_SECRET_KEY } })).toEqual([]);
  });

  test('no fault ever holds the secret', () => {
    const cwd = makeFolder();
    const text = fc.string({ minLength: 9, maxLength: 60 }).filter((value) => /^[\x21-\x7e]+$/.test(value));
    fc.assert(
      fc.property(
        text,
        fc.constantFrom(...SECRET_NAMES),
        fc.constantFrom('', '_FILE'),
        (secret, name, suffix) => {
          const others: Readonly<Record<string, string>> = { ...PRODUCTION, [name]: '' };
          const faults = faultsOf({ cwd, env: { ...others, [name + suffix]: secret } });
          for (const fault of faults) expect(fault).not.toContain(secret);
        },
      ),
    );
  });
});

describe('files of secrets in production', () => {
  test.each([0o604, 0o620, 0o602, 0o666])('a secret file of mode %o is refused', (mode) => {
    const cwd = makeFolder();
    const file = writeFile(cwd, 'key', STRONG.SECRET_KEY, mode);
    const { SECRET_KEY: _, ...others } = PRODUCTION;
    const env = { ...others, SECRET_KEY_FILE: file };
    expect(faultsOf({ cwd, env })).toEqual([
      expect.stringContaining(
        `SECRET_KEY_FILE (${file}): mode 0${mode.toString(8)}, so others may read or change it`,
      ),
    ]);
    expect(faultsOf({ cwd, env })[0]).toContain(`chmod 0600 ${file}`);
    expect(faultsOf({ cwd, env: { ...env, NODE_ENV: 'development' } })).toEqual([]);
    fs.chmodSync(file, 0o440);
    expect(faultsOf({ cwd, env })).toEqual([]);
  });

  test('the files of DATABASE_URL and SMTP_URL are checked too', () => {
    const cwd = makeFolder();
    writeFile(cwd, 'db', 'sqlite:x.db', 0o644);
    writeFile(cwd, 'smtp', 'smtp://localhost', 0o644);
    const env = { ...PRODUCTION, DATABASE_URL_FILE: 'db', SMTP_URL: '', SMTP_URL_FILE: 'smtp' };
    expect(faultsOf({ cwd, env })).toEqual([
      expect.stringMatching(/^DATABASE_URL_FILE /),
      expect.stringMatching(/^SMTP_URL_FILE /),
    ]);
  });

  test('key files that others may read or change are refused, other files are not looked at', () => {
    const cwd = makeFolder();
    const keys = path.join(cwd, 'keys');
    fs.mkdirSync(keys, { mode: 0o700 });
    writeFile(keys, 'README.md', '', 0o644);
    writeFile(keys, 'good.pem', '', 0o600);
    expect(faultsOf({ cwd, env: PRODUCTION })).toEqual([]);
    const bad = writeFile(keys, 'bad.pem', '', 0o644);
    fs.symlinkSync('absent', path.join(keys, 'dangling.pem'));
    fs.chmodSync(keys, 0o777);
    expect(faultsOf({ cwd, env: PRODUCTION })).toEqual([
      expect.stringContaining(`KEYS_DIR [keys_dir] (${keys}): mode 0777`),
      expect.stringContaining(`chmod 0600 ${bad}`),
      expect.stringContaining('dangling.pem): it cannot be read (ENOENT)'),
    ]);
    expect(faultsOf({ cwd, env: { ...STRONG } })).toEqual([]);
  });

  test('a KEYS_DIR that is no folder is refused', () => {
    const cwd = makeFolder();
    writeFile(cwd, 'keys', '');
    expect(faultsOf({ cwd, env: PRODUCTION })).toEqual([
      expect.stringContaining('the folder cannot be read (ENOTDIR)'),
    ]);
  });
});

describe('the secrets of development', () => {
  const fileIn = (cwd: string): string => path.join(cwd, 'var/development-secrets');

  test('are made at the first start, kept with mode 0600, and read at the next', () => {
    const cwd = makeFolder();
    const { secrets } = load({ cwd });
    expect(secrets.secretKey).toMatch(/^pcl_sk_dev_[\w-]{43}$/);
    expect(secrets.jwtSecretKey).toMatch(/^pcl_jk_dev_[\w-]{43}$/);
    expect(fs.statSync(fileIn(cwd)).mode & 0o777).toBe(0o600);
    expect(fs.readdirSync(path.join(cwd, 'var'))).toEqual(['development-secrets']);
    expect(load({ cwd }).secrets).toEqual(secrets);
    expect(load({ cwd: makeFolder() }).secrets.secretKey).not.toBe(secrets.secretKey);
  });

  test('fill in for the one that is missing; where both are given nothing is written', () => {
    const cwd = makeFolder();
    expect(load({ cwd, env: STRONG }).secrets.secretKey).toBe(STRONG.SECRET_KEY);
    expect(fs.existsSync(path.join(cwd, 'var'))).toBe(false);
    const { secrets } = load({ cwd, env: { SECRET_KEY: STRONG.SECRET_KEY } });
    expect(secrets.secretKey).toBe(STRONG.SECRET_KEY);
    expect(secrets.jwtSecretKey).toMatch(/^pcl_jk_dev_/);
    const { JWT_SECRET_KEY } = STRONG;
    expect(load({ cwd, env: { JWT_SECRET_KEY } }).secrets).toMatchObject({
      secretKey: expect.stringMatching(/^pcl_sk_dev_/),
      jwtSecretKey: JWT_SECRET_KEY,
    });
  });

  test('are not made where anything else is wrong, and never in production', () => {
    const cwd = makeFolder();
    expect(faultsOf({ cwd, env: { PORT: 'x' } })).toHaveLength(1);
    expect(faultsOf({ cwd, env: { NODE_ENV: 'production' } })).toHaveLength(3);
    expect(fs.existsSync(path.join(cwd, 'var'))).toBe(false);
  });

  test('are never made again: a broken file is a fault that shows nothing of it', () => {
    const cwd = makeFolder();
    load({ cwd });
    fs.writeFileSync(fileIn(cwd), 'SECRET_KEY=hunter2\n');
    const faults = faultsOf({ cwd });
    expect(faults).toEqual([expect.stringMatching(/does not hold both secrets.*Bring the file back/)]);
    expect(faults[0]).not.toContain('hunter2');
    expect(fs.readFileSync(fileIn(cwd), 'utf8')).toBe('SECRET_KEY=hunter2\n');
    fs.rmSync(fileIn(cwd));
    fs.mkdirSync(fileIn(cwd));
    expect(faultsOf({ cwd })).toEqual([expect.stringContaining('the file cannot be read (EISDIR)')]);
  });

  test('a VAR_DIR that cannot be written is a fault with a way out', () => {
    const cwd = makeFolder();
    writeFile(cwd, 'file', '');
    expect(faultsOf({ cwd, env: { VAR_DIR: 'file/var' } })).toEqual([
      expect.stringMatching(/^SECRET_KEY \(.*ENOTDIR.*/),
    ]);
    expect(faultsOf({ cwd, env: { VAR_DIR: '/proc/nowhere' } })).toEqual([
      expect.stringMatching(/cannot be made.*set SECRET_KEY and JWT_SECRET_KEY/),
    ]);
  });

  const SCRIPT = `
    import { loadConfig } from ${JSON.stringify(path.join(ROOT, 'src/config.ts'))};
    console.log(JSON.stringify(loadConfig({ flags: {}, env: {}, defaultFile: 'absent' }).secrets));`;
  const startIn =
    (cwd: string) =>
    (...flags: readonly string[]) =>
      promisify(execFile)(process.execPath, [...flags, '--input-type=module', '-e', SCRIPT], { cwd });

  test('are made, and never over others, where the file system has no links', async () => {
    const cwd = makeFolder();
    const start = startIn(cwd);
    const { stdout } = await start(...NO_LINKS);
    expect(stdout).toContain('pcl_sk_dev_');
    expect(fs.statSync(fileIn(cwd)).mode & 0o777).toBe(0o600);
    expect(fs.readdirSync(path.join(cwd, 'var'))).toEqual(['development-secrets']);
    expect((await start(...NO_LINKS)).stdout).toBe(stdout);
  });

  test('processes that start at once use the same ones', async () => {
    const cwd = makeFolder();
    const start = startIn(cwd);
    const answers = await Promise.all([start(), start(), start(), start()]);
    expect(new Set(answers.map(({ stdout }) => stdout)).size).toBe(1);
    expect(answers[0].stdout).toContain('pcl_sk_dev_');
    expect(fs.readdirSync(path.join(cwd, 'var'))).toEqual(['development-secrets']);
  });
});

describe('mail in production', () => {
  test('is missed with a warning that says what does not work', () => {
    const { SMTP_URL: _smtpUrl, ...env } = PRODUCTION;
    expect(load({ env }).warnings).toEqual([
      'SMTP_URL: not set, so no mail is sent: nobody can confirm an address, reset a password or be warned; ' +
        'expected the address of a mail server. ' +
        'Set SMTP_URL=smtps://USER:PASSWORD@mail.example.com, or SMTP_URL_FILE.',
    ]);
    expect(load({ env: STRONG }).warnings).toEqual([]);
  });

  test('is needed where registration conceals who has an account', () => {
    const { SMTP_URL: _smtpUrl, ...env } = { ...PRODUCTION, REGISTRATION_CONCEAL: 'on' };
    expect(faultsOf({ env })).toEqual([
      expect.stringMatching(/^REGISTRATION_CONCEAL .*Set SMTP_URL, or set/),
    ]);
    expect(load({ env: PRODUCTION }).config.registration.isEnabled).toBe(true);
  });
});
