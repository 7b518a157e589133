/** `npm run example:node`: the VPN node that the environment describes. It refuses to start with a sentence. */
import process from 'node:process';

import { readNodeSettings } from '../../src/sdk/node/node.ts';
import { startVpnNode } from './server.ts';

// The redirect URI in resources.yaml names it.
const NODE_PORT = 8000;

const { env } = process;
const port = Number(env['VPN_NODE_PORT'] ?? NODE_PORT);

try {
  const { close } = await startVpnNode({
    settings: readNodeSettings(env),
    port,
    origin: env['VPN_NODE_ORIGIN'],
    usersFile: env['VPN_NODE_USERS_FILE'],
  });
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void close());
} catch (error) {
  console.error(sentenceOf(error));
  process.exitCode = 1;
}

/** What is wrong with the settings is a TypeError that says so; everything else is a fault of the program. */
function sentenceOf(error: unknown): unknown {
  if (Error.isError(error) && 'code' in error && error.code === 'EADDRINUSE') {
    return `Port ${port} is taken: end what listens there, or set VPN_NODE_PORT.`;
  }
  return error instanceof TypeError ? error.message : error;
}
