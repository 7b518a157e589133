/** Tokens of customers as gateways in other languages verify them: those of the command line by the PEM, those of the server by its JWKS. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { createLocalJWKSet, decodeJwt, errors, jwtVerify } from 'jose';
import type { JSONWebKeySet, JWTPayload } from 'jose';
import { createPublicKey, generateKeyPairSync } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { DEFAULT_ISSUER, TokenGenerator } from '../../src/sdk/customers/token-generator.ts';
import { documentOf, portcullis } from '../cli/run.ts';
import { makeFolder, ROOT, start } from '../cli/serve-process.ts';
import { createApiClient } from '../support/api.ts';
import { createClient, getToken } from '../support/clients.ts';
import { prepareGo, preparePython } from '../support/other-languages.ts';
import type { Found } from '../support/other-languages.ts';
import { startTestServer } from '../support/server.ts';
import type { TestServer } from '../support/server.ts';

const FOLDER = join(import.meta.dirname, 'verifiers');
const AGO_SECONDS = 7_200;
const TIMEOUT_MS = 60_000;
const METADATA = { region: 'eu', features: ['a', { b: null }], company_ü: 'Ü' };

interface Question {
  readonly library: string;
  readonly token: string;
  readonly pem?: string;
  readonly jwks?: string;
  readonly issuer: string;
  readonly audience: string;
}

type Answer = { readonly claims: JWTPayload } | { readonly error: string };
type Ask = (questions: readonly Question[]) => Promise<readonly Answer[]>;

/** A token of each origin that is good, one that expired, and how a gateway verifies both. */
interface Origin {
  readonly good: string;
  readonly expired: string;
  readonly keys: Pick<Question, 'pem' | 'jwks' | 'issuer'>;
}

let server: TestServer;
const origins: Record<string, Origin> = {};

async function fromCommandLine(): Promise<Origin> {
  const cwd = makeFolder();
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
  const pem = privateKey.export({ format: 'pem', type: 'pkcs8' }).toString();
  writeFileSync(join(cwd, 'private-key.pem'), pem);
  const fields = ['--username', 'acme', '--customer-type', 'premium'];
  const metadata = ['--additional-metadata', JSON.stringify(METADATA)];
  const ran = await portcullis(['customer-token', ...fields, ...metadata, '--json'], { cwd });
  const [made] = documentOf(ran)['tokens'] as readonly { readonly token: string }[]; // its one token
  // What the command itself makes them by, two hours ago.
  const now = (): number => Math.floor(Date.now() / 1_000) - AGO_SECONDS;
  const generator = new TokenGenerator({ privateKey: pem, now });
  generator.addCustomer({ username: 'acme', customerType: 'premium' });
  return {
    good: made?.token ?? '',
    expired: await generator.generateToken('acme'),
    keys: {
      pem: publicKey.export({ format: 'pem', type: 'spki' }).toString(),
      issuer: DEFAULT_ISSUER,
    },
  };
}

async function fromServer(): Promise<Origin> {
  const api = await createApiClient(server);
  const token = await getToken(server, await createClient(server, 'admin'), { scope: 'admin' });
  const body = { username: 'acme', customer_type: 'premium', additional_metadata: METADATA };
  await api.call('POST', '/api/v1/customers', { token, body });
  const issue = async (): Promise<string> => {
    const answer = await api.call('POST', '/api/v1/customers/acme/tokens', { token, body: {} });
    return String(answer.body?.['access_token']);
  };
  const good = await issue();
  server.advance(-AGO_SECONDS);
  const expired = await issue();
  server.advance(AGO_SECONDS);
  return { good, expired, keys: { jwks: `${server.origin}/jwks`, issuer: server.issuer } };
}

beforeAll(async () => {
  server = await startTestServer('SQLite');
  origins['the command line, by the PEM'] = await fromCommandLine();
  origins['the server, by its JWKS'] = await fromServer();
}, TIMEOUT_MS);
afterAll(async () => {
  await server.stop();
});

/** The token with something else in it, under the signature of what was there. */
function tampered(token: string): string {
  const [head, , signature] = token.split('.');
  const claims = { ...decodeJwt(token), customer_type: 'free', customer: { rate_limit: 1_000_000 } };
  return [head, Buffer.from(JSON.stringify(claims)).toString('base64url'), signature].join('.');
}

function verifiesAndRefuses(libraries: readonly string[], ask: Ask): void {
  describe.each(libraries)('%s', (library) => {
    test.each(['the command line, by the PEM', 'the server, by its JWKS'])(
      'verifies the token of %s, and refuses a bad one',
      async (name) => {
        const { good, expired, keys } = origins[name] ?? { good: '', expired: '', keys: { issuer: '' } };
        const question = { library, token: good, audience: 'petstore', ...keys };
        const answers = await ask([
          question,
          { ...question, token: tampered(good) },
          { ...question, token: `${good.slice(0, -8)}AAAAAAAA` },
          { ...question, audience: 'bank' },
          { ...question, issuer: 'https://id.example.org' },
          { ...question, token: expired },
        ]);
        expect(answers).toEqual([
          { claims: decodeJwt(good) },
          // Each for its own reason, and not because something else went wrong.
          { error: expect.stringMatching(/signature|cryptographic/i) },
          { error: expect.stringMatching(/signature|cryptographic/i) },
          { error: expect.stringMatching(/aud/i) },
          { error: expect.stringMatching(/iss/i) },
          { error: expect.stringMatching(/exp/i) },
        ]);
        expect(decodeJwt(good)['customer']).toMatchObject({
          username: 'acme',
          rate_limit: 1_000,
          ...METADATA,
        });
      },
      TIMEOUT_MS,
    );
  });
}

/** Asks a program, which is given a file of questions. */
const askProgram =
  (program: string, argv: readonly string[]): Ask =>
  async (questions) => {
    const folder = makeFolder();
    const file = join(folder, 'questions.json');
    writeFileSync(file, JSON.stringify(questions));
    const ended = await start(program, [...argv, file], { cwd: folder }).ended;
    if (ended.code !== 0) throw new Error(ended.err);
    return JSON.parse(ended.out) as readonly Answer[]; // what the two programs print
  };

function describeLanguage(found: Found, argv: readonly string[], libraries: readonly string[]): void {
  if ('program' in found) verifiesAndRefuses(libraries, askProgram(found.program, argv));
  else test.skip(`${libraries.join(' and ')} (${found.missing})`, () => undefined);
}

describeLanguage(
  preparePython(join(ROOT, 'examples/python-node/requirements.txt')),
  ['-W', 'ignore', join(FOLDER, 'verify.py')],
  ['PyJWT', 'Authlib'],
);
describeLanguage(prepareGo(join(FOLDER, 'go-verifier')), [], ['go-jose', 'golang-jwt']);

verifiesAndRefuses(['jose'], (questions) => Promise.all(questions.map(askJose)));

async function askJose({ token, pem, jwks = '', issuer, audience }: Question): Promise<Answer> {
  const keys = async (): Promise<JSONWebKeySet> => (await (await fetch(jwks)).json()) as JSONWebKeySet; // RFC 7517 5
  const key = pem === undefined ? createLocalJWKSet(await keys()) : createPublicKey(pem);
  const checks = { issuer, audience, algorithms: ['ES256'], requiredClaims: ['exp'] };
  try {
    const verified =
      typeof key === 'function' ? await jwtVerify(token, key, checks) : await jwtVerify(token, key, checks);
    return { claims: verified.payload };
  } catch (error) {
    if (error instanceof errors.JOSEError) return { error: error.message };
    throw error;
  }
}
