/**
 * Resource servers with HS256, for systems that know no JWKS: their tokens are for them alone. This server makes such
 * JWTs and never believes one, whoever made it.
 */
import { expect, test } from '@jest/globals';
import { decodeJwt, jwtVerify, SignJWT } from 'jose';
import { randomBytes } from 'node:crypto';

import { openStorage } from '../../src/storage/open.ts';
import { environmentOf, portcullis } from '../cli/run.ts';
import { apply, basic, createClient, form, getToken, json } from '../support/clients.ts';
import type { Credentials } from '../support/clients.ts';
import { describeOnBothStores, useTestServer } from '../support/server.ts';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

const RESOURCE = 'https://old.example/api';
const makeSecret = (): string => randomBytes(32).toString('base64url');
const bytes = (secret: string): Uint8Array => new TextEncoder().encode(secret);

describeOnBothStores('a resource server with HS256', (store) => {
  const server = useTestServer(store);

  const declare = (secret: string): Promise<unknown> =>
    apply(server().administration, {
      resource_servers: [
        {
          ...{ identifier: RESOURCE, audience: 'old', signing_alg: 'HS256', secret, scopes: ['api'] },
          access_token_lifetime: 90,
        },
      ],
    });
  const tokenOf = (client: Credentials): Promise<string> =>
    getToken(server(), client, { scope: 'api', resource: RESOURCE });

  test('gets tokens by its own secret, with all that RFC 9068 asks for and no kid of ours', async () => {
    const secret = makeSecret();
    await declare(secret);
    const client = await createClient(server(), 'api');
    const { payload, protectedHeader } = await jwtVerify(await tokenOf(client), bytes(secret), {
      ...{ issuer: server().issuer, audience: 'old', typ: 'at+jwt', algorithms: ['HS256'] },
      requiredClaims: ['jti', 'sub', 'client_id', 'iat', 'exp', 'scope'],
    });
    expect(protectedHeader).toEqual({ alg: 'HS256', typ: 'at+jwt' });
    expect(payload).toMatchObject({ sub: client.id, client_id: client.id, scope: 'api' });
    expect((payload.exp ?? 0) - (payload.iat ?? 0)).toBe(90);
  });

  test('its secret is in the store encrypted alone, and the JWKS does not tell of it', async () => {
    const secret = makeSecret();
    await declare(secret);
    const storage = await openStorage(server().secrets.databaseUrl);
    const found = await storage.resourceServers.find(RESOURCE);
    await storage.close();
    expect(found?.sealedSecret).toMatch(/^v2\./);
    for (const spelling of ['utf8', 'base64', 'base64url', 'hex'] as const) {
      expect(JSON.stringify(found)).not.toContain(Buffer.from(secret).toString(spelling));
    }
    expect(await (await server().request('/jwks')).text()).not.toMatch(/oct|HS256/);
  });

  test('its secret is replaced by apply, from the next token on', async () => {
    const [old, next] = [makeSecret(), makeSecret()];
    await declare(old);
    const client = await createClient(server(), 'api');
    await tokenOf(client);
    const file = join(server().folder, 'resources.json');
    const declared = { identifier: RESOURCE, audience: 'old', signing_alg: 'HS256', scopes: ['api'] };
    const document = { resource_servers: [{ ...declared, secret: { env: 'OLD_API_SECRET' } }] };
    writeFileSync(file, JSON.stringify(document));
    const env = { ...environmentOf(server()), OLD_API_SECRET: next };
    const run = () => portcullis(['apply', file], { cwd: server().folder, env });
    expect((await run()).out).toContain('~ resource_servers');
    const token = await tokenOf(client);
    await jwtVerify(token, bytes(next));
    await expect(jwtVerify(token, bytes(old))).rejects.toMatchObject({
      code: 'ERR_JWS_SIGNATURE_VERIFICATION_FAILED',
    });
    expect((await run()).out).toContain('= resource_servers');
  });

  test('its tokens, and any other by HS256, are no credential here', async () => {
    const secret = makeSecret();
    await declare(secret);
    const client = await createClient(server(), 'api openid');
    const genuine = await tokenOf(client);
    const claims = decodeJwt(genuine);
    const [rsa] = (
      (await json(await server().request('/jwks')))['keys'] as { kid: string; n?: string }[]
    ).filter(({ n }) => n !== undefined);
    const forge = (key: string, aud: string): Promise<string> =>
      new SignJWT({ ...claims, aud })
        .setProtectedHeader({ alg: 'HS256', typ: 'at+jwt', kid: rsa?.kid ?? '' })
        .sign(bytes(key));
    const forged = [
      await forge(secret, server().issuer),
      await forge(rsa?.n ?? '', 'portcullis'), // the public key taken for a shared secret (RFC 8725 2.1)
      await forge(server().secrets.secretKey, 'vpn-node'),
    ];
    for (const token of [genuine, ...forged]) {
      const headers = { authorization: `Bearer ${token}` };
      for (const [method, path] of [
        ['GET', '/userinfo'],
        ['POST', '/vpn/auth/'],
        ['GET', '/api/v1/auth/profile'],
        ['GET', '/api/v1/admin/users'],
        ['GET', '/api/v1/verify?audience=old'],
      ] as const) {
        const { status } = await server().request(path, { method, headers });
        expect([path, status]).toEqual([path, 401]);
      }
    }
  });

  test('a client proves itself by no JWT of its secret', async () => {
    const { id, secret } = await createClient(server(), 'api');
    const assertion = await new SignJWT({ jti: makeSecret() })
      .setProtectedHeader({ alg: 'HS256' })
      .setIssuer(id)
      .setSubject(id)
      .setAudience(server().issuer)
      .setIssuedAt()
      .setExpirationTime('1m')
      .sign(bytes(secret));
    const answer = await server().request(
      '/token',
      form({
        grant_type: 'client_credentials',
        scope: 'api',
        client_assertion: assertion,
        client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
      }),
    );
    expect([answer.status, (await json(answer))['error']]).toEqual([401, 'invalid_client']);
  });

  test('at the end of a session a hint by HS256 is no hint', async () => {
    const { id, secret } = await createClient(server(), 'openid', {
      redirect_uris: ['https://app.example.com/cb'],
      post_logout_redirect_uris: ['https://app.example.com/bye'],
      grant_types: ['authorization_code'],
    });
    const hint = await new SignJWT({ sub: 'somebody' })
      .setProtectedHeader({ alg: 'HS256' })
      .setIssuer(server().issuer)
      .setAudience(id)
      .setIssuedAt()
      .setExpirationTime('1m')
      .sign(bytes(secret));
    const query = new URLSearchParams({ id_token_hint: hint, client_id: id }).toString();
    const answer = await server().request(`/logout?${query}`, {
      headers: { authorization: basic({ id, secret }) },
    });
    expect(answer.status).toBe(400);
  });
});
