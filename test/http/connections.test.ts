/** What a connection carries: bodies in pieces, requests one behind the other, and many connections in one moment. */
import { beforeAll, expect, test } from '@jest/globals';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

import { basic, createVpnNode, form } from '../support/clients.ts';
import type { Credentials } from '../support/clients.ts';
import { describeOnBothStores, useTestServer } from '../support/server.ts';

const GRANT = 'grant_type=client_credentials&scope=read';
const PAUSE_MS = 20;
const LATE_MS = 5_000;
// More than begin together.
const CROWD = 60;

interface Client {
  readonly send: (bytes: string) => void;
  /** All that was answered, once it matches. */
  readonly answered: (pattern: RegExp) => Promise<string>;
  readonly hangUp: () => void;
}

function connectTo(origin: string): Client {
  const socket: Socket = connect(Number(new URL(origin).port), '127.0.0.1');
  let answered = '';
  socket.setEncoding('utf8').on('data', (text: string) => (answered += text));
  return {
    send: (bytes) => void socket.write(bytes),
    answered: async (pattern) => {
      const until = Date.now() + LATE_MS;
      while (!pattern.test(answered)) {
        if (Date.now() > until) throw new Error(`no ${String(pattern)} in ${answered}`);
        await sleep(PAUSE_MS);
      }
      return answered;
    },
    hangUp: () => socket.destroy(),
  };
}

describeOnBothStores('a connection', (store) => {
  const server = useTestServer(store);
  let node: Credentials;

  beforeAll(async () => {
    node = await createVpnNode(server());
  });

  const head = (fields: string): string =>
    `POST /token HTTP/1.1\r\nHost: localhost:8011\r\nAuthorization: ${basic(node)}\r\n` +
    `Content-Type: application/x-www-form-urlencoded\r\n${fields}\r\n\r\n`;
  const whole = (body: string): string => head(`Content-Length: ${body.length}`) + body;
  const statuses = (answers: string): string[] =>
    [...answers.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status = '']) => status);

  test('may bring a body in pieces, one behind the other', async () => {
    const client = connectTo(server().origin);
    client.send(head(`Content-Length: ${GRANT.length}`));
    for (const piece of [GRANT.slice(0, 5), GRANT.slice(5, 6), GRANT.slice(6)]) {
      await sleep(PAUSE_MS);
      client.send(piece);
    }
    expect(await client.answered(/access_token/)).toMatch(/^HTTP\/1\.1 200 /);
    client.hangUp();
  });

  test('may bring it in chunks', async () => {
    const client = connectTo(server().origin);
    client.send(head('Transfer-Encoding: chunked'));
    for (const piece of [GRANT.slice(0, 5), GRANT.slice(5)]) {
      await sleep(PAUSE_MS);
      client.send(`${piece.length.toString(16)}\r\n${piece}\r\n`);
    }
    client.send('0\r\n\r\n');
    expect(await client.answered(/access_token/)).toMatch(/^HTTP\/1\.1 200 /);
    client.hangUp();
  });

  test('waits for the word to send its body', async () => {
    const client = connectTo(server().origin);
    client.send(head(`Content-Length: ${GRANT.length}\r\nExpect: 100-continue`));
    await client.answered(/^HTTP\/1\.1 100 /);
    client.send(GRANT);
    expect(statuses(await client.answered(/access_token/))).toEqual(['100', '200']);
    client.hangUp();
  });

  test('may bring several requests at once, which are answered in their order', async () => {
    const client = connectTo(server().origin);
    client.send(whole(GRANT) + whole('grant_type=none') + whole(GRANT));
    const answers = await client.answered(/access_token[^]*unsupported_grant_type[^]*access_token/);
    expect(statuses(answers)).toEqual(['200', '400', '200']);
    client.hangUp();
  });

  test('goes on after a body that was too large, all of which it has to bring', async () => {
    const client = connectTo(server().origin);
    client.send(head('Transfer-Encoding: chunked'));
    const piece = 'x'.repeat(30_000);
    for (let i = 0; i < 4; i += 1) client.send(`${piece.length.toString(16)}\r\n${piece}\r\n`);
    expect(await client.answered(/invalid_request/)).toMatch(/^HTTP\/1\.1 413 /);
    client.send(`${piece.length.toString(16)}\r\n${piece}\r\n0\r\n\r\n${whole(GRANT)}`);
    expect(statuses(await client.answered(/access_token/))).toEqual(['413', '200']);
    client.hangUp();
  });

  test.each([
    ['before', ''],
    ['within', GRANT.slice(0, 5)],
  ])('that ends %s a body ends its request, and costs nobody else anything', async (_when, piece) => {
    const refused = (): number => server().logs().split('the client went away before the end').length - 1;
    const before = refused();
    for (let i = 0; i < CROWD; i += 1) {
      const client = connectTo(server().origin);
      client.send(head(`Content-Length: ${GRANT.length}`) + piece);
      void sleep(PAUSE_MS).then(client.hangUp);
    }
    const until = Date.now() + LATE_MS;
    while (refused() < before + CROWD && Date.now() < until) await sleep(PAUSE_MS);
    expect(refused()).toBe(before + CROWD);
    const answer = await server().request('/token', form({ grant_type: 'client_credentials' }, basic(node)));
    expect(answer.status).toBe(200);
    expect(server().logs()).not.toMatch(/"server_failed"|"ip":""/);
  });

  test('of a crowd gets its own answer', async () => {
    const clients = Array.from({ length: CROWD }, () => connectTo(server().origin));
    const expected = clients.map((_client, i) => (i % 3 === 0 ? '400' : '200'));
    for (const [i, client] of clients.entries()) client.send(whole(i % 3 === 0 ? 'grant_type=none' : GRANT));
    const answers = await Promise.all(clients.map((client) => client.answered(/access_token|unsupported/)));
    expect(answers.map((answer) => statuses(answer).join())).toEqual(expected);
    const tokens = answers.flatMap((answer) => /"access_token":"([^"]+)"/.exec(answer)?.[1] ?? []);
    expect(new Set(tokens).size).toBe(expected.filter((status) => status === '200').length);
    for (const client of clients) client.hangUp();
  });
});
