/** `npm run example:api`: the protected API, for the tokens of the server that ISSUER or PORT name. */
import process from 'node:process';

import { startProtectedApi } from './server.ts';

// nginx.conf names it.
const API_PORT = 8022;

const { env } = process;
const issuer = env['ISSUER'] ?? `http://localhost:${env['PORT'] ?? '8011'}`;

try {
  const { origin, close } = await startProtectedApi({ issuer, port: Number(env['API_PORT'] ?? API_PORT) });
  console.log(`Protected API: ${origin} takes tokens of ${issuer}. Ctrl-C ends it.`);
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void close());
} catch (error) {
  if (!Error.isError(error) || !('code' in error) || error.code !== 'EADDRINUSE') throw error;
  console.error(`Port ${env['API_PORT'] ?? API_PORT} is taken: end what listens there, or set API_PORT.`);
  process.exitCode = 1;
}
