/** What examples/vpn-node keeps of browsers: nothing that strangers could fill up, or lengthen for ever. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { randomBytes } from 'node:crypto';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

import { z } from 'zod';

import { createSealedList } from '../../examples/vpn-node/sealed.ts';
import { createSessions } from '../../examples/vpn-node/sessions.ts';
import { createNodeVisitor, jwtOf, startNodeAtServer, TIMEOUT_MS } from '../support/vpn-node.ts';
import type { NodeAtServer, NodeVisitor } from '../support/vpn-node.ts';

let it: NodeAtServer;

beforeAll(async () => {
  it = await startNodeAtServer();
}, TIMEOUT_MS);

afterAll(async () => {
  await it.stop();
});

const createVisitor = (): NodeVisitor => createNodeVisitor(it.node.origin);

const COOKIE = 'vpn_node_sign_in';
const OLD = 400;
// Portcullis was asked for the code, and has none such.
const ASKED = 403;

/** Begins a sign-in and gives its state. */
async function begin(visitor: NodeVisitor): Promise<string> {
  const answer = await visitor.send('/auth/login/start/');
  return new URL(answer.headers.get('location') ?? '').searchParams.get('state') ?? '';
}

async function comeBack(visitor: NodeVisitor, state: string): Promise<number> {
  const parameters = new URLSearchParams({ code: 'x', state, iss: it.server.issuer });
  return (await visitor.send(`/auth/callback/?${parameters.toString()}`)).status;
}

describe('a sign-in that was begun', () => {
  test(
    'outlives any number that strangers begin',
    async () => {
      const visitor = createVisitor();
      const state = await begin(visitor);
      for (let round = 0; round < 22; round += 1) {
        const begun = await Promise.all(
          Array.from({ length: 50 }, () => createVisitor().send('/auth/login/start/')),
        );
        expect(new Set(begun.map(({ status }) => status))).toEqual(new Set([303]));
      }
      expect(await comeBack(visitor, state)).toBe(ASKED);
    },
    TIMEOUT_MS,
  );

  test('is one of four that a browser has under way, in one cookie; each is answered once', async () => {
    const visitor = createVisitor();
    const states: string[] = [];
    for (let tab = 0; tab < 5; tab += 1) states.push(await begin(visitor));
    expect([...visitor.jar.keys()]).toEqual([COOKIE]);
    expect(visitor.jar.get(COOKIE)?.length).toBeLessThan(2_000);
    const [oldest = '', ...others] = states;
    expect(await comeBack(visitor, oldest)).toBe(OLD);
    for (const state of others.toReversed()) {
      expect(await comeBack(visitor, state)).toBe(ASKED);
      expect(await comeBack(visitor, state)).toBe(OLD);
    }
    expect([...visitor.jar]).toEqual([]);
  });

  test('is nobody’s who changed the cookie, made it up, or has it of another node', async () => {
    const visitor = createVisitor();
    const state = await begin(visitor);
    const sealed = visitor.jar.get(COOKIE) ?? '';
    const bytes = Buffer.from(sealed, 'base64url');
    const changed = [0, 12, 28, bytes.length - 1].map((at) => {
      const copy = Buffer.from(bytes);
      copy[at] = (copy[at] ?? 0) ^ 1;
      return copy.toString('base64url');
    });
    const plain = JSON.stringify([{ value: { state, nonce: 'x', codeVerifier: 'x' }, expiresAt: 9e9 }]);
    const odd = ['', 'x', sealed.slice(0, 38), sealed.slice(0, -4), 'x'.repeat(5_000)];
    for (const cookie of [...changed, ...odd, Buffer.from(plain).toString('base64url')]) {
      visitor.jar.set(COOKIE, cookie);
      expect([cookie, await comeBack(visitor, state)]).toEqual([cookie, OLD]);
    }
    const other = await it.startNode();
    const there = createNodeVisitor(other.origin);
    there.jar.set(COOKIE, sealed);
    expect(await comeBack(there, state)).toBe(OLD);
    await other.close();
    visitor.jar.set(COOKIE, sealed);
    expect(await comeBack(visitor, state)).toBe(ASKED);
  });

  test('hides what it holds', async () => {
    const visitor = createVisitor();
    const state = await begin(visitor);
    const shown = Buffer.from(visitor.jar.get(COOKIE) ?? '', 'base64url').toString('latin1');
    expect(shown).not.toContain(state);
    expect(shown).not.toContain('nonce');
  });
});

/** The bytes that are still held once the garbage is gone. */
function retained(): number {
  setFlagsFromString('--expose-gc');
  runInNewContext('gc()');
  return process.memoryUsage().heapUsed;
}

describe('an answer of a sign-in', () => {
  test(
    'with a state of any length leaves nothing behind: the names of cookies are the node’s own',
    async () => {
      const attempt = (): Promise<Response> => {
        const state = randomBytes(4_500).toString('base64url');
        // On connections of their own: one that is kept may end, as it is idle, just when it is taken again.
        const headers = { cookie: 'x=y', connection: 'close' };
        return fetch(`${it.node.origin}/auth/callback/?state=${state}`, { headers });
      };
      const rounds = async (count: number): Promise<void> => {
        for (let round = 0; round < count; round += 1) {
          const answers = await Promise.all(Array.from({ length: 20 }, attempt));
          for (const answer of answers) {
            expect(answer.status).toBe(OLD);
            await answer.arrayBuffer();
          }
        }
      };
      await rounds(5);
      // A name and a RegExp for each of 800 take more than 9 MB, and more of the machine; what others left may go later.
      let grown = Infinity;
      for (let attempt = 0; attempt < 3 && grown >= 4e6; attempt += 1) {
        const before = retained();
        await rounds(40);
        grown = Math.min(grown, retained() - before);
      }
      expect(grown).toBeLessThan(4e6);
    },
    TIMEOUT_MS,
  );

  test('is looked for only where its state has the form of one', async () => {
    const visitor = createVisitor();
    const state = await begin(visitor);
    for (const wrong of ['', 'x', `${state}A`, `${state}\n`, `.${state.slice(1)}`, ` ${state}`]) {
      expect(await comeBack(visitor, wrong)).toBe(OLD);
    }
    expect(await comeBack(visitor, state)).toBe(ASKED);
  });
});

describe('sessions', () => {
  const enter = async (visitor: NodeVisitor, username: string): Promise<void> => {
    const token = await jwtOf('basic', username);
    const answer = await visitor.post('/auth/login/authenticate/', { token, csrf: await visitor.csrf() });
    expect(answer.status).toBe(303);
  };
  const isIn = async (visitor: NodeVisitor, username: string): Promise<boolean> =>
    (await (await visitor.send('/')).text()).includes(`Hello, ${username}`);

  test(
    'are ten of a person, who loses their own oldest one, and nobody else’s',
    async () => {
      const quiet = createVisitor();
      await enter(quiet, 'quiet');
      const loud = Array.from({ length: 12 }, createVisitor);
      for (const visitor of loud) await enter(visitor, 'loud');
      expect(await Promise.all(loud.map((visitor) => isIn(visitor, 'loud')))).toEqual([
        ...[false, false],
        ...Array<boolean>(10).fill(true),
      ]);
      expect(await isIn(quiet, 'quiet')).toBe(true);
    },
    TIMEOUT_MS,
  );

  const issuer = 'https://id.example.com';
  const make = (now: () => number) =>
    createSessions({ maxOfPerson: 2, maxEntries: 1_500, lifetimeSeconds: 100, now });

  test('of a thousand other people end nobody’s; a full node takes no more until some are over', () => {
    let at = 0;
    const sessions = make(() => at);
    const first = sessions.open('jwt of ada', { issuer, username: 'ada' });
    at = 10;
    for (let count = 1; count < 1_500; count += 1)
      sessions.open('jwt', { issuer, username: `user-${count}` });
    expect(sessions.find(first)).toBe('jwt of ada');
    const full = expect.objectContaining({ status: 503 }) as unknown;
    const late = (): string => sessions.open('jwt of late', { issuer, username: 'late' });
    expect(late).toThrow(full);
    expect(sessions.find(first)).toBe('jwt of ada');
    at = 100;
    expect(sessions.find(first)).toBeNull();
    expect(sessions.find(late())).toBe('jwt of late');
    expect(late).toThrow(full);
  });

  test('of the same name at another issuer are another’s', () => {
    const sessions = make(() => 0);
    const [here, there] = [
      sessions.open('here', { issuer, username: 'ada' }),
      sessions.open('there', { issuer: 'portbro.com', username: 'ada' }),
    ];
    sessions.open('there', { issuer: 'portbro.com', username: 'ada' });
    sessions.open('there', { issuer: 'portbro.com', username: 'ada' });
    expect([sessions.find(here), sessions.find(there)]).toEqual(['here', null]);
    sessions.close(here);
    expect(sessions.find(here)).toBeNull();
  });
});

describe('a sealed list', () => {
  const make = (purpose = 'x', now = (): number => 0) =>
    createSealedList({ entry: z.string(), purpose, maxEntries: 2, lifetimeSeconds: 10, now });

  test('forgets each entry after its time, and never gives the same text twice', () => {
    let at = 0;
    const list = make('x', () => at);
    const one = list.add('', 'one');
    expect(list.add('', 'one')).not.toBe(one);
    at = 5;
    const both = list.add(one, 'two');
    at = 9;
    expect(list.take(both, (value) => value === 'one')?.value).toBe('one');
    at = 10;
    expect(list.take(both, (value) => value === 'one')).toBeNull();
    expect(list.take(both, (value) => value === 'two')).toEqual({ value: 'two', rest: '' });
  });

  test('begins anew with a text that is not its own', () => {
    const list = make();
    const foreign = make().add('', 'one');
    const sealed = list.add(foreign, 'two');
    expect(list.take(sealed, (value) => value === 'one')).toBeNull();
    expect(list.take(sealed, (value) => value === 'two')?.rest).toBe('');
  });
});
