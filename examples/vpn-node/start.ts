/** `npm run example:node`: the VPN node that the environment describes. It refuses to start with a sentence. */
import process from 'node:process';

import { createOAuth2Client, followRevocations, readNodeSettings } from '../../src/sdk/node/node.ts';
import { startVpnNode } from './server.ts';
import { createTeller, lineOf, reportOf } from './terminal.ts';

// The redirect URI in resources.yaml names it.
const NODE_PORT = '8000';
const MAX_PORT = 65_535;

const { env } = process;
const { VPN_NODE_PORT: givenPort = '' } = env;
const port = givenPort === '' ? NODE_PORT : givenPort;

try {
  await start();
} catch (error) {
  console.error(sentenceOf(error));
  process.exitCode = 1;
}

async function start(): Promise<void> {
  if (!/^\d{1,5}$/.test(port) || Number(port) > MAX_PORT) {
    throw new TypeError(
      `VPN_NODE_PORT: found "${port}"; expected a whole number from 0 to ${MAX_PORT}, such as 8000.`,
    );
  }
  const settings = readNodeSettings(env);
  const client = createOAuth2Client(settings);
  const tell = createTeller((line) => console.error(line));
  // Who is disabled is out within two seconds. While the feed cannot be reached, its default decides: 15 minutes.
  const revocations = followRevocations({
    ...settings,
    getToken: () => client.getOAuth2Token(),
    onTrouble: (error) => tell(`The revocation feed: ${lineOf(error)}`),
  });
  try {
    const { close } = await startVpnNode({
      ...{ settings, port: Number(port), revocations },
      report: (told) => console.error(reportOf(told)),
      origin: env['VPN_NODE_ORIGIN'],
      usersFile: env['VPN_NODE_USERS_FILE'],
    });
    const stop = (): void => void close().then(revocations.close);
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, stop);
  } catch (error) {
    await revocations.close();
    throw error;
  }
}

/** What is wrong with the settings is a TypeError that says so; everything else is a fault of the program. */
function sentenceOf(error: unknown): unknown {
  if (Error.isError(error) && 'code' in error && error.code === 'EADDRINUSE') {
    return `Port ${port} is taken: end what listens there, or set VPN_NODE_PORT.`;
  }
  return error instanceof TypeError ? error.message : error;
}
