/** VPN JWTs by the server's own key that each have one fault, and the same without one, which shows that they are right. */
import { createPublicKey } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { decodeJwt, decodeProtectedHeader, generateKeyPair, importPKCS8, SignJWT, UnsecuredJWT } from 'jose';
import type { CryptoKey, JWTPayload } from 'jose';

import { environmentOf, portcullis } from '../cli/run.ts';
import { json } from './clients.ts';
import type { TestServer } from './server.ts';

type Claims = Readonly<Record<string, unknown>>;

/** A private key of the server, which no node has. */
async function privateKey(server: TestServer, kid: string, alg: string): Promise<CryptoKey> {
  const file = join(server.folder, `${kid}.pem`);
  const at = { cwd: server.folder, env: environmentOf(server) };
  const { code, err } = await portcullis(['keys', 'export', kid, '--private', '--output', file], at);
  if (code !== 0) throw new Error(err);
  return importPKCS8(readFileSync(file, 'utf8'), alg);
}

async function keyOf(server: TestServer, alg: string): Promise<{ kid: string; jwk: Record<string, string> }> {
  const { keys } = await json(await server.request('/jwks'));
  const jwk = (keys as Record<string, string>[]).find((key) => key['alg'] === alg); // RFC 7517 5
  if (jwk?.['kid'] === undefined) throw new Error(`no key of ${alg} is published`);
  return { kid: jwk['kid'], jwk };
}

/** Name → token; `good` is a VPN JWT that the server made. */
export async function faultyTokens(server: TestServer, good: string) {
  const claims = decodeJwt(good);
  const { kid: signer, ...protectedHeader } = decodeProtectedHeader(good);
  const { jwk } = await keyOf(server, 'RS256');
  const header = { ...protectedHeader, alg: 'RS256', kid: String(signer) };
  const key = await privateKey(server, header.kid, 'RS256');
  const elliptic = await keyOf(server, 'ES256');
  const ellipticKey = await privateKey(server, elliptic.kid, 'ES256');
  const { privateKey: stranger } = await generateKeyPair('RS256');

  const sign = (changes: Claims, other: object = {}, by: CryptoKey | Uint8Array = key): Promise<string> =>
    new SignJWT(stripped({ ...claims, ...changes })).setProtectedHeader({ ...header, ...other }).sign(by);
  const byText = (text: string): Promise<string> =>
    sign({}, { alg: 'HS256' }, new TextEncoder().encode(text));
  const pem = createPublicKey({ key: jwk, format: 'jwk' }).export({ type: 'spki', format: 'pem' }).toString();
  const now = Math.floor(Date.now() / 1_000);
  const [head = '', payload = '', signature = ''] = good.split('.');
  const ownClaims = encode({ ...claims, level: 99 });

  return {
    right: {
      'with nothing changed': await sign({}),
      'that expired within the leeway': await sign({ iat: now - 3_600, exp: now - 10 }),
      'for several audiences': await sign({ aud: ['other', 'vpn-node'] }),
    },
    wrong: {
      'for another audience': await sign({ aud: 'other' }),
      'without an audience': await sign({ aud: undefined }),
      'of another issuer': await sign({ iss: 'http://localhost:1' }),
      'that has expired': await sign({ iat: now - 3_600, exp: now - 40 }),
      'that never expires': await sign({ exp: undefined }),
      'from the future': await sign({ iat: now + 120 }),
      'that does not say when it was made': await sign({ iat: undefined }),
      'of the type of ID tokens': await sign({}, { typ: 'JWT' }),
      'of no type': await sign({}, { typ: undefined }),
      'of alg none': new UnsecuredJWT(claims).encode(),
      'of alg none with the rest of the header': `${encode({ ...header, alg: 'none' })}.${payload}.`,
      'by HS256 with the public key as PEM': await byText(pem),
      'by HS256 with the public key as JWK': await byText(JSON.stringify(jwk)),
      'by ES256 with a key that is published': await sign(
        {},
        { alg: 'ES256', kid: elliptic.kid },
        ellipticKey,
      ),
      'by RS384': `${encode({ ...header, alg: 'RS384' })}.${payload}.${signature}`,
      'of an unknown key': await sign({}, { kid: 'unknown' }, stranger),
      'of no key': await sign({}, { kid: undefined }),
      'by another key under a known id': await sign({}, {}, stranger),
      'with a changed signature': `${head}.${payload}.${signature.slice(0, -8)}AAAAAAAA`,
      'without a signature': `${head}.${payload}.`,
      'with changed claims': `${head}.${ownClaims}.${signature}`,
      'with a member in the header that must be understood': await signCritical(claims, header, key),
      'without a role': await sign({ role: undefined }),
      'without a level': await sign({ level: undefined }),
      'whose level is a text': await sign({ level: '50' }),
      'whose level is no whole number': await sign({ level: 49.5 }),
      'whose level is below nothing': await sign({ level: -1 }),
      'that names no client': await sign({ client_id: undefined }),
      'without an id': await sign({ jti: undefined }),
      'of nobody': await sign({ sub: undefined }),
      'bound to a key': await sign({ cnf: { jkt: 'x' } }),
      'longer than any': `${good}${'A'.repeat(17_000)}`,
      'that is none': 'abc',
    },
  };
}

const encode = (part: object): string => Buffer.from(JSON.stringify(part)).toString('base64url');

/** jose refuses to write members without a value; here they stand for those that are left out. */
const stripped = (claims: Claims): JWTPayload =>
  Object.fromEntries(Object.entries(claims).filter(([, value]) => value !== undefined));

const signCritical = (claims: JWTPayload, header: { alg: string }, key: CryptoKey): Promise<string> =>
  new SignJWT(claims)
    .setProtectedHeader({ ...header, crit: ['urn:example'], 'urn:example': true })
    .sign(key, { crit: { 'urn:example': true } });
