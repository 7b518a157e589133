// The settings: precedence, derivation, bounds, the settings file, and what production refuses of them.
import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';

import { describeFaults } from '../src/config/faults.ts';
import { SETTINGS, SETTING_NAMES } from '../src/config/settings.ts';
import { PRODUCTION, STRONG, faultsOf, load, makeFolder, writeFile } from './config/load.ts';

const ROOT = path.join(import.meta.dirname, '..');

describe('where a value comes from', () => {
  test('without anything given, every setting has its default', () => {
    const cwd = makeFolder();
    const { config, sources } = load({ cwd, env: STRONG });
    expect(config).toEqual({
      environment: 'development',
      isProduction: false,
      issuer: 'http://localhost:8011',
      host: '127.0.0.1',
      port: 8011,
      database: { kind: 'sqlite', path: path.join(cwd, 'var/portcullis.db') },
      trustedProxies: 0,
      corsAllowedOrigins: [],
      metricsAddress: { host: '127.0.0.1', port: 9464 },
      logLevel: 'info',
      rateLimits: true,
      rateLimit: { userPerHour: 100, adminPerHour: 1000, ipPerHour: 600, authorizePerHour: 3_000 },
      debug: false,
      keysFolder: path.join(cwd, 'keys'),
      varFolder: path.join(cwd, 'var'),
      tokens: {
        accessTokenLifetimeSeconds: 3600,
        jwksMaxAgeSeconds: 300,
        refreshTokenIdleSeconds: 1_209_600,
        refreshTokenAbsoluteSeconds: 2_592_000,
        refreshRetryWindowSeconds: 10,
      },
      keys: expect.any(Object), // see config/keys.test.ts
      api: { accessTokenSeconds: 3600, refreshTokenSeconds: 2_592_000 },
      sessions: { idleSeconds: 86_400, rememberedSeconds: 2_592_000 },
      registration: { isEnabled: true, conceals: false },
      mail: { from: 'Portcullis <no-reply@localhost>' },
      brand: { name: 'Portcullis', accent: '#2f5fd0', logo: null },
      customers: expect.any(Object), // see config/customers.test.ts
      vpn: {
        ...{ audience: 'vpn-node', hasStatusLists: false },
        ...{ tokenLifetimeSeconds: 3600, exchangesPerMinute: 120, keyOverlapSeconds: 86_400 },
        roles: { basic: 10, manager: 30, admin: 50 },
      },
      permissions: expect.any(Object), // see config/permissions.test.ts
    });
    expect(new Set(Object.values(sources).map(({ kind }) => kind))).toEqual(new Set(['default']));
  });

  test('a flag goes before the environment, the environment before the file, the file before the default', () => {
    const yaml = 'port: 1001\nlog_level: warn\nvpn:\n  audience: from-file\n';
    const env = { ...STRONG, PORT: '1002', LOG_LEVEL: 'error' };
    const { config, sources } = load({ yaml, env, flags: { port: '1003' } });
    expect([config.port, config.logLevel, config.vpn.audience]).toEqual([1003, 'error', 'from-file']);
    expect(sources.port).toEqual({ kind: 'flag', flag: '--port' });
    expect(sources.logLevel).toEqual({ kind: 'environment', name: 'LOG_LEVEL' });
    expect(sources.vpnAudience).toMatchObject({ kind: 'settings file', line: 4 });
    expect(sources.host).toEqual({ kind: 'default' });
  });

  test('an empty environment variable counts as not set, and spaces around a value do not count', () => {
    const { config } = load({ env: { ...STRONG, PORT: '', LOG_LEVEL: ' debug ' } });
    expect([config.port, config.logLevel]).toEqual([8011, 'debug']);
  });

  test('--config goes before CONFIG_FILE, which goes before the shipped file', () => {
    const cwd = makeFolder();
    writeFile(cwd, 'one.yaml', 'port: 1');
    writeFile(cwd, 'two.yaml', 'port: 2');
    const env = { ...STRONG, CONFIG_FILE: 'one.yaml' };
    expect(load({ cwd, env, yaml: 'port: 3' }).config.port).toBe(1);
    expect(load({ cwd, env, flags: { config: 'two.yaml' } }).config.port).toBe(2);
  });

  test('DATABASE_URL_FILE holds the URL in a file', () => {
    const cwd = makeFolder();
    writeFile(cwd, 'url', 'mongodb://user:hunter2@db.example.com/portcullis\n');
    const { config, secrets, sources } = load({ cwd, env: { ...STRONG, DATABASE_URL_FILE: 'url' } });
    expect(secrets.databaseUrl).toBe('mongodb://user:hunter2@db.example.com/portcullis');
    expect(config.database).toEqual({
      kind: 'mongodb',
      redactedUrl: 'mongodb://***@db.example.com/portcullis',
    });
    expect(sources.databaseUrl).toMatchObject({ kind: 'secret file', name: 'DATABASE_URL_FILE' });
  });
});

describe('what follows from other settings', () => {
  test('the environment is development on a loopback issuer and production elsewhere', () => {
    const environmentOf = (issuer: string) => load({ env: { ...STRONG, ISSUER: issuer } }).config.environment;
    for (const host of ['localhost', 'localhost:8011', '127.0.0.1', '127.8.9.1:80', '[::1]:8011']) {
      expect(environmentOf(`http://${host}`)).toBe('development');
    }
    for (const host of [
      'auth.example.com',
      'localhost.example.com',
      '128.0.0.1',
      '[::2]',
      '0.0.0.0',
      '10.0.0.1',
    ]) {
      expect(environmentOf(`https://${host}`)).toBe('production');
    }
  });

  test('the issuer follows the port, and the listen address the environment', () => {
    expect(load({ env: { ...STRONG, PORT: '9000' } }).config.issuer).toBe('http://localhost:9000');
    expect(load({ env: PRODUCTION }).config.host).toBe('0.0.0.0');
    expect(load({ env: { ...STRONG, NODE_ENV: 'test' } }).config).toMatchObject({
      environment: 'test',
      isProduction: false,
      host: '127.0.0.1',
    });
  });

  test('the issuer is normalised to an origin', () => {
    const issuerOf = (ISSUER: string) => load({ env: { ...PRODUCTION, ISSUER } }).config.issuer;
    expect(issuerOf('https://auth.example.com/')).toBe('https://auth.example.com');
    expect(issuerOf('HTTPS://Auth.Example.com:443')).toBe('https://auth.example.com');
  });

  test('the sender of mails follows the brand and the host of the issuer', () => {
    const senderOf = (env: object) => load({ env: { ...PRODUCTION, ...env } }).config.mail.from;
    expect(senderOf({ BRAND_NAME: 'Example' })).toBe('Example <no-reply@auth.example.com>');
    expect(senderOf({ BRAND_NAME: 'A, B; C: D' })).toBe('no-reply@auth.example.com');
    expect(senderOf({ ISSUER: 'https://192.0.2.1' })).toBe('Portcullis <no-reply@localhost>');
    expect(senderOf({ MAIL_FROM: 'Zoë O’Neil <accounts@example.com>' })).toBe(
      'Zoë O’Neil <accounts@example.com>',
    );
    expect(senderOf({ MAIL_FROM: 'accounts@example.com' })).toBe('accounts@example.com');
  });

  test('off turns metrics off', () => {
    const { config } = load({ env: { ...STRONG, METRICS_ADDRESS: 'off' } });
    expect(config.metricsAddress).toBeNull();
  });

  test('an IPv6 metrics address is written in brackets', () => {
    const { config } = load({ env: { ...STRONG, METRICS_ADDRESS: '[::1]:9000' } });
    expect(config.metricsAddress).toEqual({ host: '::1', port: 9000 });
  });

  test('origins are split at commas, and each stands there once', () => {
    const CORS_ALLOWED_ORIGINS = 'https://a.example, https://b.example:8443,https://a.example,';
    const { config } = load({ env: { ...STRONG, CORS_ALLOWED_ORIGINS } });
    expect(config.corsAllowedOrigins).toEqual(['https://a.example', 'https://b.example:8443']);
  });
});

describe('values that are refused', () => {
  const refused: readonly (readonly [string, readonly string[], string])[] = [
    ['NODE_ENV', ['staging', 'Production'], 'development, test or production'],
    [
      'ISSUER',
      [
        'auth.example.com',
        'ftp://localhost',
        'http://localhost/path',
        'http://localhost//',
        'http://localhost?',
        'http://localhost#',
        'http://user@localhost',
        'http://',
        'http://local host',
        'http://localhost:99999',
        'http:\\\\localhost',
      ],
      'without path, query, fragment and user',
    ],
    ['HOST', ['http://localhost', 'localhost:8011', '[::1]', '999.1.1.1', '-', 'a..b'], 'without a port'],
    ['PORT', ['abc', '1e3', '0x50', '80.5', '-1', '65536', '080'], 'a whole number from 0 to 65535'],
    ['TRUST_PROXY', ['true', '11', '-1'], 'from 0 to 10'],
    [
      'CORS_ALLOWED_ORIGINS',
      [
        '*',
        'null',
        'https://a.example/',
        'https://a.example/x',
        'https://A.example',
        'a.example',
        'https://a.example:443',
      ],
      'exact origins',
    ],
    ['METRICS_ADDRESS', ['9464', 'on', '127.0.0.1', '::1:9464', '[x]:1', '127.0.0.1:70000'], 'host:port'],
    ['LOG_LEVEL', ['verbose', '30'], 'one of fatal, error, warn'],
    ['RATE_LIMITS', ['maybe'], 'on or off'],
    ['ACCESS_TOKEN_LIFETIME', ['59', '86401', '1h'], 'a whole number of seconds from 60 to 86400'],
    ['REFRESH_TOKEN_IDLE', ['59', '31536001', '14d'], 'a whole number of seconds from 60 to 31536000'],
    ['REFRESH_TOKEN_ABSOLUTE', ['59', '31536001'], 'a whole number of seconds from 60 to 31536000'],
    ['REFRESH_RETRY_WINDOW', ['-1', '61'], 'a whole number of seconds from 0 to 60'],
    ['JWT_ACCESS_TOKEN_LIFETIME', ['0', '1441'], 'a whole number of minutes from 1 to 1440'],
    ['JWT_REFRESH_TOKEN_LIFETIME', ['0', '366'], 'a whole number of days from 1 to 365'],
    ['SESSION_IDLE', ['59', '31536001'], 'a whole number of seconds from 60 to 31536000'],
    ['SESSION_REMEMBERED', ['59', '31536001'], 'a whole number of seconds from 60 to 31536000'],
    ['REFRESH_TOKEN_ABSOLUTE', ['86400'], 'at least REFRESH_TOKEN_IDLE'],
    ['SESSION_REMEMBERED', ['3600'], 'at least SESSION_IDLE'],
    ['RATE_LIMIT_USER', ['0', '1000001', '100/h'], 'a whole number from 1 to 1000000'],
    ['RATE_LIMIT_ADMIN', ['0', '1000001'], 'a whole number from 1 to 1000000'],
    ['RATE_LIMIT_IP', ['0', '1000001', 'off'], 'a whole number from 1 to 1000000'],
    ['RATE_LIMIT_AUTHORIZE', ['0', '1000001', 'off'], 'a whole number from 1 to 1000000'],
    ['REGISTRATION', ['maybe', 'invited'], 'on or off'],
    ['REGISTRATION_CONCEAL', ['maybe'], 'on or off'],
    [
      'MAIL_FROM',
      ['nobody', 'a@b@c', 'A <a@b.c>, B <b@b.c>', 'a@b.c\nBcc: x@y.z', 'A\tB <a@b.c>', '<a@b.c>', 'a@b c'],
      'an address, or a name',
    ],
    ['BRAND_NAME', ['x'.repeat(41), '<b>', 'a\u0007b'], '1 to 40 characters'],
    ['BRAND_ACCENT', ['blue', '#25d', '#12345g', '#ffcc00', '#ffffff', '#777777'], '4.5:1 to white'],
    ['VPN_AUDIENCE', ['vpn node', 'é'], 'printable ASCII'],
    ['VPN_AUDIENCE', ['portcullis', 'http://localhost:8011'], 'an audience of its own'],
    ['METRICS_ADDRESS', ['127.0.0.1:8011'], 'a port of its own'],
    ['VPN_TOKEN_LIFETIME', ['59', '86401'], 'a whole number of seconds from 60 to 86400'],
    ['VPN_KEY_OVERLAP', ['-1', '2592001'], 'a whole number of seconds from 0 to 2592000'],
    ['VPN_RATE_LIMIT', ['0', '100001'], 'a whole number from 1 to 100000'],
  ];

  test.each(refused)('%s refuses %j', (variable, values, expected) => {
    for (const value of values) {
      const [fault = '', ...others] = faultsOf({ env: { ...STRONG, [variable]: value } });
      expect(fault).toContain(`${variable} [`);
      expect(fault).toContain(`(environment ${variable})`);
      expect(fault).toContain(expected);
      expect(fault).toMatch(/\. (Set|Choose) .+\.$/);
      expect(others.filter((other) => !other.includes('Production rules apply'))).toEqual([]);
    }
  });

  test('a database URL that cannot be used is told by its scheme alone', () => {
    const urls = [
      'postgres://u:hunter2@h/db',
      'sqlite://var/x.db',
      'sqlite:',
      'hunter2',
      'mongodb://',
      'mongodb://u:hunter2@',
    ];
    for (const DATABASE_URL of urls) {
      const [fault = ''] = faultsOf({ env: { ...STRONG, DATABASE_URL } });
      expect(fault).toContain('DATABASE_URL [database_url] (environment DATABASE_URL)');
      expect(fault).toContain('Set DATABASE_URL=sqlite:var/portcullis.db, for example.');
      expect(fault).not.toContain('hunter2');
    }
  });

  test('a refused flag is told as a flag', () => {
    const [fault] = faultsOf({ env: STRONG, flags: { port: 'x' } });
    expect(fault).toContain('PORT [port] (flag --port): found "x"');
    expect(fault).toContain('Give --port 8011, for example.');
  });

  test('a password in a flag or in the settings file is refused, and not shown', () => {
    const url = 'mongodb://u:hunter2@h/db';
    const faults = [
      ...faultsOf({ env: STRONG, flags: { databaseUrl: url } }),
      ...faultsOf({ env: STRONG, yaml: `database_url: ${url}` }),
    ];
    expect(faults).toEqual([
      expect.stringMatching(/--database-url.*a password in a flag.*set DATABASE_URL, or DATABASE_URL_FILE/),
      expect.stringMatching(/portcullis\.yaml:1.*a password in the settings file.*set DATABASE_URL/),
    ]);
    expect(faults.join()).not.toContain('hunter2');
  });

  test('user info in a value that is refused is not shown', () => {
    const env = {
      ...STRONG,
      ISSUER: 'https://user:hunter2@host',
      CORS_ALLOWED_ORIGINS: 'u:hunter2@h',
      PORT: STRONG.SECRET_KEY,
    };
    const text = faultsOf({ env }).join('\n');
    expect(text).toContain('***@host');
    expect(text).not.toContain('hunter2');
    expect(text).not.toContain(STRONG.SECRET_KEY);
  });

  test('all faults are told at once, a line each', () => {
    const faults = faultsOf({ env: { PORT: 'x', HOST: 'a b', NODE_ENV: 'production' }, yaml: 'prot: 1' });
    expect(faults.map((fault) => fault.split(' ')[0])).toEqual([
      '"prot"',
      'HOST',
      'PORT',
      'ISSUER',
      'SECRET_KEY:',
      'JWT_SECRET_KEY:',
    ]);
    const fault = {
      variable: 'X',
      path: null,
      source: { kind: 'default' },
      found: 'a',
      expected: 'b',
      remedy: 'C.',
    } as const;
    expect(describeFaults([fault])).toBe(
      'The configuration has one fault:\n  - X (default): a; expected b. C.',
    );
    expect(describeFaults([fault, fault])).toContain('has 2 faults');
  });

  test('any number outside its bounds is a fault, and any within is taken', () => {
    const bounds = { PORT: [0, 65535], TRUST_PROXY: [0, 10], VPN_TOKEN_LIFETIME: [60, 86400] } as const;
    const cwd = makeFolder();
    const variable = fc.constantFrom('PORT', 'TRUST_PROXY', 'VPN_TOKEN_LIFETIME');
    fc.assert(
      fc.property(variable, fc.oneof(fc.integer(), fc.integer({ min: -5, max: 90_000 })), (name, number) => {
        const [least, most] = bounds[name];
        const faults = faultsOf({ cwd, env: { ...STRONG, METRICS_ADDRESS: 'off', [name]: String(number) } });
        expect(faults).toHaveLength(number < least || number > most ? 1 : 0);
      }),
    );
  });
});

describe('the settings file', () => {
  const told: readonly (readonly [string, string, number | null, string])[] = [
    ['an unknown key', 'port: 1\ntrust_proxi: 1', 2, 'Did you mean trust_proxy?'],
    ['a key in camel case', 'trustProxy: 1', 1, 'Did you mean trust_proxy?'],
    ['a key outside its section', 'audience: x', 1, 'Did you mean vpn.audience?'],
    ['a misspelt key in a section', 'vpn:\n  audiense: x', 2, 'Did you mean vpn.audience?'],
    ['a key like nothing', 'entirely_different: 1', 1, 'config schema'],
    ['a key that is no text', '? [a]\n: 1', 1, 'there is no setting'],
    ['the same key twice', 'port: 1\nport: 2', 2, 'a key that stands there twice'],
    ['broken YAML', 'port: [1', 1, 'no valid YAML'],
    ['a tab', '\tport: 1', 1, 'a tab'],
    ['two documents', 'port: 1\n---\nport: 2', 2, 'a second YAML document'],
    ['a tag', 'port: !js 1', 1, 'a YAML tag'],
    ['an alias', 'vpn: &a\n  audience: x\ntokens: *a', 3, 'an alias'],
    ['deep nesting', '['.repeat(60_000), 1, 'nesting that is far too deep'],
    ['a list', '- port', 1, 'a mapping of settings'],
    ['a scalar', 'port', 1, 'a mapping of settings'],
    [
      'a section that is no mapping',
      'registration: off',
      1,
      'Indent the settings of registration below it, such as `  enabled: on`.',
    ],
    ['a value of another type', 'port: "8011"', 1, 'a whole number from 0 to 65535'],
    ['a setting without a value', 'port:', 1, 'found nothing'],
    ['a list for a text', 'issuer: [a]', 1, 'found ["a"]'],
    ['a role with a level of 0', 'vpn:\n  roles: { basic: 0 }', 2, 'vpn.roles'],
    ['no roles', 'vpn: { roles: {} }', 1, 'found {}'],
    ['the role of nodes', 'vpn: { roles: { node: 1 } }', 1, 'not node'],
    ['a role that every object has', 'vpn: { roles: { constructor: 1 } }', 1, 'constructor'],
    ['a secret', 'SECRET_KEY: hunter2', 1, 'set SECRET_KEY, or SECRET_KEY_FILE, in the environment'],
    ['a secret in lower case', 'jwt-secret-key: hunter2', 1, 'set JWT_SECRET_KEY'],
    ['the mail server', 'smtp_url: smtp://u:hunter2@h', 1, 'set SMTP_URL'],
    ['a secret in broken YAML', 'secret_key: "hunter2', 1, 'no valid YAML'],
    ['too large a file', '#'.repeat(70_000), null, 'larger than 64 KiB'],
  ];

  test.each(told)('%s is told with its line', (_, yaml, line, text) => {
    const faults = faultsOf({ env: STRONG, yaml });
    expect(faults).toHaveLength(1);
    expect(faults[0]).toContain(line === null ? 'portcullis.yaml)' : `portcullis.yaml:${line})`);
    expect(faults[0]).toContain(text);
    expect(faults[0]).not.toContain('hunter2');
  });

  test('both of two unknown keys are told', () => {
    expect(faultsOf({ env: STRONG, yaml: 'aaaaaaa: 1\nbbbbbbb: 2' })).toHaveLength(2);
  });

  test('an empty file, and a section without settings, change nothing', () => {
    for (const yaml of ['', '# nothing\n', '---\n', 'vpn:\ntokens:\n']) {
      expect(load({ env: STRONG, yaml }).config.port).toBe(8011);
    }
  });

  test('switches may be written on, off, true and false', () => {
    for (const [text, value] of [
      ['on', true],
      ['off', false],
      ['true', true],
      ['false', false],
    ] as const) {
      expect(load({ env: STRONG, yaml: `rate_limits: ${text}` }).config.rateLimits).toBe(value);
      expect(load({ env: { ...STRONG, RATE_LIMITS: text.toUpperCase() } }).config.rateLimits).toBe(value);
    }
  });

  test('a named file that is not there, is no file, or is no text is told', () => {
    const cwd = makeFolder();
    fs.writeFileSync(path.join(cwd, 'binary.yaml'), Buffer.from([0xff, 0xfe, 0xfd]));
    expect(faultsOf({ cwd, env: { ...STRONG, CONFIG_FILE: 'absent.yaml' } })).toEqual([
      expect.stringMatching(
        /CONFIG_FILE .*absent\.yaml\): the file cannot be read \(ENOENT\).*--config or CONFIG_FILE/,
      ),
    ]);
    expect(faultsOf({ cwd, env: STRONG, flags: { config: '.' } })).toEqual([
      expect.stringContaining('EISDIR'),
    ]);
    expect(faultsOf({ cwd, env: STRONG, flags: { config: 'binary.yaml' } })).toHaveLength(1);
  });
});

describe('the files that are shipped', () => {
  const shipped = fs.readFileSync(path.join(ROOT, 'config/portcullis.yaml'), 'utf8');

  test('config/portcullis.yaml is valid as it is and changes nothing', () => {
    const cwd = makeFolder();
    expect(load({ cwd, env: STRONG, yaml: shipped }).config).toEqual(
      load({ cwd: cwd, env: STRONG, yaml: '' }).config,
    );
  });

  test('config/portcullis.yaml names every setting with its default and its variable', () => {
    const cwd = makeFolder();
    const yaml = shipped.replaceAll(/^#(?=(?: {2})?[a-z_]+:)/gm, '');
    const { config, sources } = load({ cwd, env: STRONG, yaml });
    expect(config).toEqual(load({ cwd, env: STRONG, yaml: '' }).config);
    for (const name of SETTING_NAMES) {
      expect([name, sources[name].kind]).toEqual([name, 'settings file']);
      expect(shipped).toContain(SETTINGS[name].env ?? '');
    }
  });

  test('config/production.example.yaml is what production starts with, given secrets', () => {
    const yaml = fs.readFileSync(path.join(ROOT, 'config/production.example.yaml'), 'utf8');
    const { SMTP_URL } = PRODUCTION;
    const { config, warnings } = load({ env: { ...STRONG, SMTP_URL }, yaml });
    expect(config).toMatchObject({
      environment: 'production',
      trustedProxies: ['loopback'],
      host: '127.0.0.1',
    });
    expect(warnings).toEqual([]);
  });

  test('every secret of config/production.env.example is refused as a sample', () => {
    const text = fs.readFileSync(path.join(ROOT, 'config/production.env.example'), 'utf8');
    const env = Object.fromEntries(
      Array.from(text.matchAll(/^(\w+)=(.*)$/gm), ([, name = '', value = '']) => [name, value]),
    );
    expect(Object.keys(env)).toEqual(['SECRET_KEY', 'JWT_SECRET_KEY']);
    expect(faultsOf({ env: { ...PRODUCTION, ...env } })).toEqual([
      expect.stringMatching(/^SECRET_KEY \(.*a sample or placeholder/),
      expect.stringMatching(/^JWT_SECRET_KEY \(.*a sample or placeholder/),
    ]);
  });
});

describe('production', () => {
  test('refuses an http issuer, DEBUG and missing rate limits, each with its remedy', () => {
    const env = { ...PRODUCTION, ISSUER: 'http://auth.example.com', DEBUG: 'true', RATE_LIMITS: 'off' };
    expect(faultsOf({ env })).toEqual([
      expect.stringMatching(/^ISSUER .*Set ISSUER=https:\/\/auth\.example\.com /),
      expect.stringMatching(/^DEBUG .*Unset DEBUG/),
      expect.stringMatching(/^RATE_LIMITS .*Set RATE_LIMITS=on/),
    ]);
    expect(load({ env: { ...env, NODE_ENV: 'development' } }).config).toMatchObject({
      debug: true,
      rateLimits: false,
    });
  });

  test('takes a loopback issuer with https only', () => {
    expect(load({ env: { ...PRODUCTION, ISSUER: 'https://localhost:8443' } }).config.isProduction).toBe(true);
    expect(faultsOf({ env: { ...PRODUCTION, ISSUER: 'http://localhost:8011' } })).toHaveLength(1);
  });

  test('says why its rules apply where NODE_ENV is not set', () => {
    const faults = faultsOf({ env: { ISSUER: 'http://auth.example.com' } });
    expect(faults).toHaveLength(3);
    for (const fault of faults) {
      expect(fault).toContain('NODE_ENV names no environment and the issuer "http://auth.example.com"');
      expect(fault).toContain('set NODE_ENV=development');
    }
    expect(faultsOf({ env: { NODE_ENV: 'production' } }).join()).not.toContain('Production rules apply');
  });

  test('refuses what the npm package debug reads in DEBUG; development ignores it with a warning', () => {
    expect(faultsOf({ env: { ...PRODUCTION, DEBUG: 'oidc-provider:*' } })).toEqual([
      expect.stringMatching(/^DEBUG \[debug\] \(environment DEBUG\): found namespaces .*Unset DEBUG/),
    ]);
    const { config, warnings } = load({ env: { ...STRONG, DEBUG: 'koa*' } });
    expect(config.debug).toBe(false);
    expect(warnings).toEqual([expect.stringMatching(/^DEBUG .*ignores/)]);
  });

  test('warns of no trusted proxy', () => {
    const { warnings } = load({ env: { ...PRODUCTION, TRUST_PROXY: '0' } });
    expect(warnings).toEqual([expect.stringMatching(/^TRUST_PROXY .*Set TRUST_PROXY=1/)]);
  });

  test('development warns where its issuer is not this machine', () => {
    const { warnings } = load({ env: { ...STRONG, NODE_ENV: 'development', ISSUER: 'http://192.168.1.5' } });
    expect(warnings).toEqual([expect.stringMatching(/^NODE_ENV .*Set NODE_ENV=production/)]);
  });
});
