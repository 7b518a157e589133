/** A store that cannot answer, call by call: always 503 with Retry-After, never a word that makes a client drop a token. */
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { setTimeout as sleep } from 'node:timers/promises';

import { startServer } from '../../src/app.ts';
import { storeNameOf } from '../../src/config.ts';
import { storeUnavailable } from '../../src/errors.ts';
import { openStorage } from '../../src/storage/open.ts';
import type { Storage } from '../../src/storage/port.ts';
import {
  apply,
  assertion,
  assertionForm,
  basic,
  createClient,
  createKeyClient,
  createVpnNode,
  form,
  getToken,
  json,
} from '../support/clients.ts';
import { describeOnBothStores, startTestServer } from '../support/server.ts';
import type { TestServer } from '../support/server.ts';
import { wrapCalls } from '../support/wrapped-storage.ts';
import { enrolled, makeNodeKey, offer, proofOf, rotationOf } from '../vpn/node-keys.ts';

type Fault = Readonly<{ call: string; error: Error }>;

/** The real store, but for one call that fails as long as `fault()` names it. */
const withFaults = (storage: Storage, fault: () => Fault | null): Storage =>
  wrapCalls(storage, (call, run) => {
    const active = fault();
    return active?.call === call ? Promise.reject(active.error) : run();
  });

describeOnBothStores('a store that cannot answer', (store) => {
  let fault: Fault | null = null;
  let server: TestServer;

  beforeEach(async () => {
    fault = null;
    server = await startTestServer(
      store,
      {},
      { open: async (url) => withFaults(await openStorage(url), () => fault) },
    );
  });
  afterEach(() => server.stop());

  const down = (call: string): void => {
    fault = { call, error: storeUnavailable(new Error('down')) };
  };

  /** One request for each endpoint, with what is valid in all of them. */
  async function requests(): Promise<Record<string, () => Promise<Response>>> {
    const node = await createVpnNode(server);
    const key = await createKeyClient(server);
    await apply(server.administration, {
      resource_servers: [{ identifier: 'urn:api', audience: 'api', scopes: ['api'] }],
    });
    const client = await createClient(server, 'api');
    const opaque = await getToken(server, node);
    const jwt = await getToken(server, client, { scope: 'api', resource: 'urn:api' });
    const bearer = await getToken(server, node);
    const once = await assertion(key, server.issuer);
    const grant = { grant_type: 'client_credentials', scope: 'read' };
    return {
      token: () => server.request('/token', form(grant, basic(node))),
      assertion: () => server.request('/token', assertionForm(once)),
      resource: () =>
        server.request('/token', form({ ...grant, scope: 'api', resource: 'urn:api' }, basic(client))),
      introspect: () => server.request('/introspect', form({ token: opaque }, basic(node))),
      'introspect JWT': () => server.request('/introspect', form({ token: jwt }, basic(client))),
      revoke: () => server.request('/revoke', form({ token: opaque }, basic(node))),
      'revoke JWT': () => server.request('/revoke', form({ token: jwt }, basic(client))),
      exchange: () =>
        server.request('/vpn/auth', { method: 'POST', headers: { authorization: `Bearer ${bearer}` } }),
      ...(await keyRequests()),
    };
  }

  /** A node that enrols, and one that asks for another key. */
  async function keyRequests(): Promise<Record<string, () => Promise<Response>>> {
    const { code } = await offer(server);
    const [key, next] = [await makeNodeKey(), await makeNodeKey()];
    const known = await enrolled(server);
    return {
      enrol: async () => send('/vpn/enrol', { code, proof: await proofOf(key, server, code) }),
      rotate: async () => {
        const request = await rotationOf(known.id, known.key, next, server);
        return send('/vpn/keys', { proof: await proofOf(next, server, request) }, request);
      },
    };
  }

  const send = (path: string, body: object, bearer = ''): Promise<Response> =>
    server.request(path, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${bearer}` },
      body: JSON.stringify(body),
    });

  test.each([
    [
      'clients.find',
      [
        ...['token', 'assertion', 'resource', 'introspect', 'introspect JWT', 'revoke', 'revoke JWT'],
        ...['exchange', 'enrol', 'rotate'],
      ],
    ],
    ['clients.replace', ['enrol', 'rotate']],
    ['audit.append', ['enrol', 'rotate']],
    ['artifacts.upsert', ['token', 'assertion', 'revoke JWT']],
    ['artifacts.insert', ['assertion', 'rotate']],
    ['artifacts.find', ['assertion', 'introspect', 'introspect JWT', 'revoke', 'exchange']],
    ['artifacts.destroy', ['revoke']],
    ['resourceServers.find', ['resource']],
    ['counters.hit', ['exchange', 'enrol', 'rotate']],
  ])('%s fails: every endpoint that needs it says 503, and works when it is back', async (call, needing) => {
    const all = await requests();
    for (const name of needing) {
      down(call);
      const answer = await all[name]?.();
      expect([name, answer?.status]).toEqual([name, 503]);
      expect(answer?.headers.get('retry-after')).toMatch(/^\d+$/);
      expect(answer?.headers.get('cache-control')).toBe('no-store');
      expect(answer === undefined ? {} : await json(answer)).toMatchObject({
        error: 'temporarily_unavailable',
      });
      fault = null;
      if (call !== 'artifacts.upsert' || name !== 'assertion')
        expect((await all[name]?.())?.status).toBe(200);
    }
  });

  test('the cause is in the log, with the store, once for many requests', async () => {
    const node = await createVpnNode(server);
    const token = await getToken(server, node);
    down('clients.find');
    for (let n = 0; n < 3; n += 1) {
      await server.request('/token', form({ grant_type: 'client_credentials' }, basic(node)));
      await server.request('/vpn/auth', { method: 'POST', headers: { authorization: `Bearer ${token}` } });
    }
    const told = server.logs().match(/.*"store_lost".*/g) ?? [];
    expect(told.map((line) => JSON.parse(line) as object)).toEqual([
      expect.objectContaining({ level: 40, store: storeNameOf(server.config), cause: 'down', repeated: 0 }),
    ]);
  });

  test('a fault of our own is 500 with a fixed text, and its cause is in the log under the request id', async () => {
    const node = await createVpnNode(server);
    const token = await getToken(server, node);
    fault = { call: 'clients.find', error: new TypeError('the inner reason') };
    const requestsToFail = [
      server.request('/token', form({ grant_type: 'client_credentials' }, basic(node))),
      server.request('/vpn/auth', { method: 'POST', headers: { authorization: `Bearer ${token}` } }),
    ];
    for (const answer of await Promise.all(requestsToFail)) {
      const text = await answer.text();
      expect(answer.status).toBe(500);
      expect(text).toContain('server_error');
      expect(text).not.toContain('inner reason');
      const lines = server
        .logs()
        .split('\n')
        .filter((line) => line.includes(answer.headers.get('x-request-id') ?? '-'));
      expect(lines.join('\n')).toContain('the inner reason');
    }
  });

  test('is told by /readyz, with the reason, while /healthz and the JWKS go on', async () => {
    down('ping');
    const ready = await server.request('/readyz');
    expect([ready.status, await json(ready)]).toEqual([
      503,
      { status: 'not ready', reason: 'the store cannot be reached' },
    ]);
    expect((await server.request('/healthz')).status).toBe(200);
    expect((await server.request('/jwks')).status).toBe(200);
  });

  test('a server that starts before its store says 503 and serves once the store is there', async () => {
    let isThere = false;
    const { promise: opened, resolve } = Promise.withResolvers<undefined>();
    const starting = server.startInstance({
      config: { ...server.config, logLevel: 'info' },
      open: async (url) => {
        if (isThere) return openStorage(url);
        resolve(undefined);
        throw storeUnavailable(new Error('not there yet'));
      },
    });
    await opened;
    isThere = true;
    const { origin } = await starting;
    expect((await fetch(`${origin}/readyz`)).status).toBe(200);
    expect(server.logs()).toContain('"cause":"not there yet"');
  });

  test('a stop while the store is being opened lets go of it, and starts nothing', async () => {
    let closed = 0;
    const open: typeof openStorage = async (...at) => {
      await sleep(300);
      const storage = await openStorage(...at);
      const close = async (): Promise<void> => {
        closed += 1;
        await storage.close();
      };
      return { ...storage, close };
    };
    const { config, secrets } = server;
    const logDestination = { write: () => undefined };
    const starting = await startServer({ config, secrets, logDestination, open });
    const ready = starting.ready.catch((error: unknown) => error);
    await starting.stop();
    expect(closed).toBe(1);
    expect(await ready).toMatchObject({ name: 'AbortError' });
  });
});
