/** `portcullis gateway generate`: what it writes for each gateway, and what it refuses. `gateway/` runs them. */
import { describe, expect, test } from '@jest/globals';
import { readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseDocument } from 'yaml';

import { registerGatewayCommands } from '../../src/cli/gateway.ts';
import { documentOf, portcullis, run } from './run.ts';
import type { Ran } from './run.ts';
import { makeFolder } from './serve-process.ts';

const ISSUER = ['--issuer', 'https://auth.example.com'] as const;
const UPSTREAM = ['--upstream', 'http://10.0.0.7:8022'] as const;
const VERIFY = 'https://auth.example.com/api/v1/verify?audience=petstore&customer=required';
const CUSTOMER = ['X-Customer-Username', 'X-Customer-Type', 'X-Customer-Access-Level'];
const YAML = ['envoy', 'apisix', 'kong', 'traefik'];

const generate = (
  argv: readonly string[],
  env: Readonly<Record<string, string>> = {},
  cwd = makeFolder(),
): Promise<Ran> => run(registerGatewayCommands, ['gateway', 'generate', ...argv], { cwd, env });

const textOf = async (gateway: string, ...argv: readonly string[]): Promise<string> => {
  const { out, err, code } = await generate([gateway, ...ISSUER, ...UPSTREAM, ...argv]);
  expect([err, code]).toEqual(['', 0]);
  return out;
};

/** Throws where it is no YAML, or has a key twice. */
const parse = (text: string): unknown => {
  const document = parseDocument(text, { strict: true, uniqueKeys: true });
  expect([document.errors, document.warnings]).toEqual([[], []]);
  return document.toJS() as unknown;
};

describe('gateway generate', () => {
  test('nginx: asks, overwrites each header, and checks certificates', async () => {
    const text = await textOf('nginx', '--listen', '[::]:9000');
    for (const line of [
      'listen [::]:9000;',
      'server 10.0.0.7:8022;',
      'server auth.example.com:443;',
      'auth_request /_verify;',
      'proxy_pass https://portcullis/api/v1/verify?audience=petstore&customer=required;',
      'proxy_set_header Host auth.example.com;',
      'proxy_ssl_verify on;',
      'proxy_ssl_name auth.example.com;',
      ...CUSTOMER.map((name) => `proxy_set_header ${name} $auth_${name.toLowerCase().replaceAll('-', '_')};`),
    ]) {
      expect(text.split(/\n */).map((found) => found.replace(/ #.*/, ''))).toContain(line);
    }
    expect(await textOf('nginx', '--upstream', 'https://api.example.com')).toContain(
      'proxy_pass https://$api;',
    );
  });

  test.each(YAML)('%s: a host that YAML 1.1 takes for a boolean stays a name', async (gateway) => {
    const text = await textOf(gateway, '--upstream', 'http://no:8022');
    const read = (version: '1.1' | '1.2') => parseDocument(text, { version }).toJS() as unknown;
    expect(read('1.1')).toEqual(read('1.2'));
  });

  test('envoy: asks by its Lua filter before its router, and checks certificates', async () => {
    const text = await textOf('envoy', '--listen', '[::1]:9000');
    const address = { address: '::1', port_value: 9_000 };
    expect(parse(text)).toMatchObject({
      static_resources: {
        listeners: [
          {
            address: { socket_address: address },
            filter_chains: [
              {
                filters: [
                  {
                    typed_config: {
                      http_filters: [
                        { name: 'envoy.filters.http.header_mutation' },
                        { name: 'envoy.filters.http.lua' },
                        { name: 'envoy.filters.http.rbac' },
                        { name: 'envoy.filters.http.router' },
                      ],
                    },
                  },
                ],
              },
            ],
          },
        ],
        clusters: [
          {
            name: 'portcullis',
            transport_socket: {
              typed_config: {
                sni: 'auth.example.com',
                common_tls_context: {
                  validation_context: {
                    trusted_ca: { filename: '/etc/ssl/certs/ca-certificates.crt' },
                    match_typed_subject_alt_names: [
                      { san_type: 'DNS', matcher: { exact: 'auth.example.com' } },
                    ],
                  },
                },
              },
            },
          },
          { name: 'api' },
        ],
      },
    });
    for (const part of [
      '"/api/v1/verify?audience=petstore&customer=required"',
      '[":authority"] = "auth.example.com"',
      '"503"',
    ]) {
      expect(text).toContain(part);
    }
  });

  test('apisix: asks by forward-auth, then refuses who is no customer, and ends as a file of it must', async () => {
    const text = await textOf('apisix');
    expect(text).toMatch(/\n#END\n$/);
    expect(parse(text)).toMatchObject({
      routes: [
        {
          uri: '/*',
          plugins: {
            'forward-auth': {
              uri: VERIFY,
              ssl_verify: true,
              allow_degradation: false,
              status_on_error: 503,
              request_headers: ['Authorization'],
              upstream_headers: expect.arrayContaining(CUSTOMER),
              client_headers: expect.arrayContaining(['Retry-After', 'RateLimit', 'WWW-Authenticate']),
            },
            'serverless-post-function': {
              phase: 'access',
              functions: [expect.stringContaining('return 403')],
            },
          },
          upstream: { scheme: 'http', nodes: { '10.0.0.7:8022': 1 } },
        },
      ],
    });
  });

  test('kong: asks by a function of its own, which lets nobody in where it cannot', async () => {
    const document = parse(await textOf('kong', '--upstream', 'https://api.example.com'));
    expect(document).toMatchObject({
      _format_version: '3.0',
      services: [
        {
          ...{ protocol: 'https', host: 'api.example.com', port: 443, tls_verify: true },
          routes: [{ paths: ['/'], strip_path: false }],
          plugins: [{ name: 'pre-function', config: { access: [expect.stringContaining(`"${VERIFY}"`)] } }],
        },
      ],
    });
    expect(JSON.stringify(document)).toContain('if status ~= 200 then return kong.response.exit(503');
  });

  test('traefik: asks by forwardAuth, which replaces what the caller wrote', async () => {
    const document = parse(await textOf('traefik'));
    expect(document).toMatchObject({
      http: {
        routers: {
          api: { middlewares: ['forged', 'customers'], service: 'api', rule: 'PathPrefix(`/`)' },
        },
        middlewares: {
          forged: {
            headers: {
              customRequestHeaders: expect.objectContaining({ X_Auth_Role: '', 'X-Customer.Username': '' }),
            },
          },
          customers: {
            forwardAuth: {
              address: VERIFY,
              trustForwardHeader: false,
              authResponseHeaders: expect.arrayContaining(CUSTOMER),
            },
          },
        },
        services: { api: { loadBalancer: { servers: [{ url: 'http://10.0.0.7:8022' }] } } },
      },
    });
  });

  test('takes issuer and audience from the settings, without the secrets of production', async () => {
    const env = { ISSUER: 'https://id.example.com', CUSTOMERS_AUDIENCE: 'zoo', NODE_ENV: 'production' };
    const { out, code } = await generate(['traefik', ...UPSTREAM], env);
    expect([code, out]).toEqual([
      0,
      expect.stringContaining('https://id.example.com/api/v1/verify?audience=zoo&customer=required'),
    ]);
  });

  test('writes a new file, and one document with --json', async () => {
    const cwd = makeFolder();
    const argv = ['gateway', 'generate', 'nginx', ...ISSUER, ...UPSTREAM, '--output', 'nginx.conf'];
    const made = await portcullis([...argv, '--json'], { cwd });
    const file = join(cwd, 'nginx.conf');
    const text = await textOf('nginx');
    expect(documentOf(made)).toEqual({ gateway: 'nginx', file, text });
    expect([readFileSync(file, 'utf8'), statSync(file).mode & 0o777]).toEqual([text, 0o644]);
    const again = await portcullis([...argv, '--json'], { cwd });
    expect([again.code, again.err]).toEqual([
      2,
      expect.stringMatching(/found .*nginx\.conf, .*give --output another/),
    ]);
    expect(documentOf(again)).toMatchObject({ error: { code: 'wrong_usage' } });
    const printed = await generate(['kong', ...ISSUER, ...UPSTREAM, '--json']);
    expect(Object.keys(documentOf(printed))).toEqual(['gateway', 'text']);
    const told = await generate(['kong', ...ISSUER, ...UPSTREAM, '--output', 'kong.yaml'], {}, cwd);
    expect(told.out).toBe(`Wrote the configuration of kong to ${join(cwd, 'kong.yaml')}.\n`);
    expect((await generate(['kong', ...ISSUER, ...UPSTREAM, '--output', '-'], {}, cwd)).out).toBe(
      readFileSync(join(cwd, 'kong.yaml'), 'utf8'),
    );
    expect(readdirSync(cwd)).not.toContain('-');
  });

  test.each(['nginx', ...YAML])('an audience means nothing to %s but itself', async (gateway) => {
    const hostile = `a'b"c;}{$x\\#:-[%0A]~(!*)&role=admin\`,{{.}}`;
    const text = await textOf(gateway, '--audience', hostile);
    const [, found = ''] = /\?audience=([^\s";&]*)/.exec(text) ?? [];
    expect(found).toMatch(/^[\w%.-]+$/);
    expect(decodeURIComponent(found)).toBe(hostile);
    expect(text.replace(found, 'petstore')).toBe(await textOf(gateway));
    if (gateway !== 'nginx') parse(text);
  });
});

describe('gateway generate refuses', () => {
  const refusal = async (argv: readonly string[], env: Readonly<Record<string, string>> = {}) => {
    const { out, err, code } = await generate(argv, env);
    expect([out, code]).toEqual(['', 2]);
    return err;
  };

  test.each([
    'api.example.com',
    'ftp://api.example.com',
    'http://api.example.com/path',
    'http://user@api.example.com',
    'http://api.example.com:99999',
    'http://api.example.com:0',
    "http://a'b",
    'http://a;b',
    'http://unix',
    'http://a..b',
    'http://${x}',
    'http://a"b',
    'http://a`b`',
    'http://a\nb',
    'http://',
    '',
  ])('--upstream and --issuer %j', async (origin) => {
    const expected =
      'expected an origin, http(s)://host[:port], without path, query, fragment and user, such as: ';
    const upstream = await refusal(['nginx', ...ISSUER, '--upstream', origin]);
    expect(upstream).toContain(`--upstream: found "${origin}"; ${expected}--upstream http://127.0.0.1:8022`);
    const issuer = await refusal(['kong', ...UPSTREAM, '--issuer', origin]);
    expect(issuer).toContain(`--issuer: found "${origin}"; ${expected}--issuer https://auth.example.com`);
  });

  test('a password in an origin, and does not repeat it', async () => {
    const told = await refusal(['nginx', ...ISSUER, '--upstream', 'http://user:pass-4711@api.example.com']);
    expect(told).toContain('--upstream: found "http://user:…@api.example.com"; expected');
    expect(told).not.toContain('4711');
  });

  test.each([
    '0',
    '65536',
    'localhost:80',
    '::1:80',
    '[127.0.0.1]:80',
    '[fe80::1%eth0]:80',
    '1.2.3.4:',
    '80;',
    '',
  ])('--listen %j', async (listen) => {
    const err = await refusal(['nginx', ...ISSUER, ...UPSTREAM, '--listen', listen]);
    expect(err).toContain(`--listen: found "${listen}"; expected an IP address and a port from 1 to 65535`);
  });

  test.each(['apisix', 'kong', 'traefik'])('--listen for %s, which is told elsewhere', async (gateway) => {
    const err = await refusal([gateway, ...ISSUER, ...UPSTREAM, '--listen', '8080']);
    expect(err).toContain(`expected none, since ${gateway} listens where `);
  });

  test.each(['', 'a b', 'a\nb', 'ä', 'x'.repeat(256)])('--audience %j', async (audience) => {
    const err = await refusal(['nginx', ...ISSUER, ...UPSTREAM, '--audience', audience]);
    expect(err).toContain(`--audience: found ${JSON.stringify(audience)}; expected 1 to 255 printable`);
  });

  test('another gateway, a missing --upstream, and a place where nothing can be written', async () => {
    expect(await refusal(['caddy', ...UPSTREAM])).toContain('Allowed choices are nginx, envoy, apisix, kong');
    expect(await refusal(['nginx'])).toContain("required option '--upstream <origin>' not specified");
    const argv = ['nginx', ...ISSUER, ...UPSTREAM, '--output'];
    expect(await refusal([...argv, 'no/such/nginx.conf'])).toMatch(/found no folder of .*: make it first/);
    const cwd = makeFolder();
    writeFileSync(join(cwd, 'file'), '');
    const { code, err } = await generate([...argv, 'file/nginx.conf'], {}, cwd);
    expect([code, err]).toEqual([
      2,
      expect.stringContaining('(ENOTDIR); expected a place where this user may'),
    ]);
  });

  test('settings that do not say who issues, or for whom', async () => {
    expect(await refusal(['nginx', ...UPSTREAM], { ISSUER: 'nowhere' })).toMatch(
      /ISSUER .*expected an origin/,
    );
    expect(await refusal(['nginx', ...UPSTREAM], { CUSTOMERS_AUDIENCE: 'a b' })).toContain(
      'CUSTOMERS_AUDIENCE',
    );
    expect(await refusal(['nginx', ...UPSTREAM, '--config', 'none.yaml'])).toContain('none.yaml');
    const said = [...UPSTREAM, ...ISSUER, '--audience', 'zoo'];
    expect((await generate(['nginx', ...said], { ISSUER: 'nowhere' })).code).toBe(0);
  });
});
