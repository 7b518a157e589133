/**
 * Portcullis as it is started by `npm start`, on a fresh store, with the client and API of the benchmark. A
 * measurement may add settings (`BENCH_SETTINGS`) and users (`BENCH_USERS`), each as JSON.
 */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { openAdministration } from '../src/composition/administration.ts';
import { startServer } from '../src/app.ts';
import { openLog } from '../src/cli/log.ts';
import { loadConfig } from '../src/config.ts';
import { BENCH_CLIENT, BENCH_RESOURCE } from './client.ts';

const folder = mkdtempSync(join(tmpdir(), 'portcullis-bench-'));
const loaded = loadConfig({
  flags: {},
  env: {
    NODE_ENV: 'test',
    ISSUER: 'http://localhost',
    HOST: '127.0.0.1',
    PORT: '0',
    METRICS_ADDRESS: 'off',
    KEYS_DIR: join(folder, 'keys'),
    VAR_DIR: folder,
    DATABASE_URL: process.env['BENCH_DATABASE_URL'] ?? `sqlite:${join(folder, 'bench.db')}`,
    SECRET_KEY: randomBytes(32).toString('base64'),
    JWT_SECRET_KEY: randomBytes(32).toString('base64'),
    ...(JSON.parse(process.env['BENCH_SETTINGS'] ?? '{}') as Record<string, string>),
  },
});
if (!loaded.ok) throw new Error(JSON.stringify(loaded.faults));

const { config, secrets } = loaded;
const administration = await openAdministration(config, secrets);
const file = {
  resource_servers: [{ identifier: BENCH_RESOURCE, audience: BENCH_RESOURCE, scopes: ['bench'] }],
  clients: [{ client_id: BENCH_CLIENT.id, client_secret: BENCH_CLIENT.secret, scope: 'read bench' }],
  users: JSON.parse(process.env['BENCH_USERS'] ?? '[]') as object[],
};
const applied = await administration.apply(JSON.stringify(file), {}, false);
if (!applied.ok) throw new Error(JSON.stringify(applied.faults));
await administration.close();

const server = await startServer({
  config,
  secrets,
  // Log lines are made and written as in production, to a place that keeps none.
  logDestination: openLog('/dev/null', (trouble) => process.stderr.write(trouble)).destination,
});
await server.ready;
process.send?.({ port: server.port });
process.on('message', () => process.send?.({ rssMiB: process.memoryUsage().rss / 1024 / 1024 }));
process.on('disconnect', () => {
  rmSync(folder, { recursive: true, force: true });
  process.exit();
});
