/** A store under another SECRET_KEY than its own: every command is refused with a sentence and changes nothing. */
import { afterAll, expect, test } from '@jest/globals';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { generateSecret } from '../../src/config/secret-format.ts';
import { openStorage } from '../../src/storage/open.ts';
import { describeOnBothStores, useTestServer } from '../support/server.ts';
import { documentOf, environmentOf, portcullis } from './run.ts';
import { ROOT, start } from './serve-process.ts';
import type { ServeProcess } from './serve-process.ts';

const FILE = 'resources.yaml';
const SENTENCE =
  /^The signing key "[^"]+" in the store does not open with this SECRET_KEY\. Start with the SECRET_KEY that this store was made with, or with that one as SECRET_KEY_PREVIOUS where SECRET_KEY is a new one; nothing was changed\.\n$/;

const started: ServeProcess[] = [];

afterAll(() => {
  for (const process of started) process.signal('SIGKILL');
});

describeOnBothStores('another SECRET_KEY than that of the store', (store) => {
  const server = useTestServer(store);
  const other = generateSecret('SECRET_KEY', 'production');

  const surroundings = () => ({
    cwd: server().folder,
    env: { ...environmentOf(server()), SECRET_KEY: other, API_SECRET: 'given-'.padEnd(48, 'x1y2z3') },
  });

  const snapshot = async (): Promise<unknown> => {
    const storage = await openStorage(server().secrets.databaseUrl);
    const page = { limit: 1_000 };
    const found = [
      await storage.clients.list(page),
      await storage.resourceServers.list(page),
      await storage.signingKeys.read(),
    ];
    await storage.close();
    return found;
  };

  const writeFile = (): void =>
    writeFileSync(
      join(server().folder, FILE),
      `vpn_nodes: [{ client_id: node }]
resource_servers:
  - { identifier: 'urn:x', audience: x, signing_alg: HS256, secret: { env: API_SECRET }, scopes: [x] }`,
    );

  test.each([
    ['apply', ['apply', FILE]],
    ['a dry run', ['apply', FILE, '--dry-run']],
    ['create', ['vpn-nodes', 'create', 'node']],
    ['list', ['clients', 'list']],
  ])('%s', async (_name, argv) => {
    writeFile();
    const before = await snapshot();
    const ran = await portcullis(argv, surroundings());
    expect([ran.code, ran.out]).toEqual([1, '']);
    expect(ran.err).toMatch(SENTENCE);
    expect(ran.err).not.toContain(other);
    const asJson = documentOf(await portcullis([...argv, '--json'], surroundings()));
    expect(asJson).toEqual({ error: { code: 'failed', message: ran.err.trimEnd() } });
    expect(await snapshot()).toEqual(before);
  });

  test('the process ends by itself', async () => {
    writeFile();
    const { cwd, env } = surroundings();
    const main = join(ROOT, 'src/main.ts');
    const child = start(process.execPath, [main, 'apply', FILE], { cwd, env });
    started.push(child);
    const { code, err } = await child.ended;
    expect(code).toBe(1);
    expect(err).toMatch(SENTENCE);
  });
});
