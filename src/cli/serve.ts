/** `portcullis serve`: runs the server until SIGTERM or SIGINT, and tells what to try. */
import type { Command } from 'commander';

import type { DemoNode } from '../composition/administration.ts';
import { startServer } from '../app.ts';
import type { PortcullisServer } from '../app.ts';
import { loadConfig, storeNameOf } from '../config.ts';
import type { Config } from '../config.ts';
import { describeFault, describeFaults } from '../config/faults.ts';
import { messageOf } from '../errors.ts';
import { addConfigFlags, configFlags } from './config-flags.ts';
import { fail } from './io.ts';
import type { Io } from './io.ts';
import { openLog } from './log.ts';

// npm hands on the Ctrl-C that the terminal sent to this process too: within this time both are one.
const SAME_SIGNAL_MS = 1_000;

/** Adds `serve`. */
export function registerServeCommand(program: Command, io: Io): void {
  addConfigFlags(program.command('serve'))
    .description('run the server')
    .addHelpText('after', '\nExample:\n  portcullis serve --port 8011')
    .action((_options: unknown, command: Command) => serve(io, command));
}

async function serve(io: Io, command: Command): Promise<void> {
  const loaded = loadConfig({ flags: configFlags(command), env: io.env, cwd: io.cwd });
  if (!loaded.ok) {
    fail(io, describeFaults(loaded.faults));
    return;
  }
  for (const warning of loaded.warnings) io.err(`warning: ${describeFault(warning)}\n`);

  const { destination: logDestination, end } = openLog(1, io.err);
  let server: PortcullisServer | null = null;
  try {
    server = await startServer({ ...loaded, logDestination });
    stopOnSignals(server, end);
    greet(io, loaded.config, server.port, await server.ready);
  } catch (error) {
    if (isAbort(error)) return; // a signal came before it was ready; stopOnSignals ends the process
    fail(io, messageOf(error));
    await server?.stop();
    await end();
  }
}

const isAbort = (error: unknown): boolean => Error.isError(error) && error.name === 'AbortError';

/** The first signal finishes what is in flight, a later one does not wait for it. */
function stopOnSignals(server: PortcullisServer, end: () => Promise<void>): void {
  let stoppingSince: number | null = null;
  const onSignal = (): void => {
    if (stoppingSince !== null) {
      if (performance.now() - stoppingSince > SAME_SIGNAL_MS) process.exit(1);
      return;
    }
    stoppingSince = performance.now();
    server.stop().then(
      () => end().then(() => process.exit(0)),
      async (error: unknown) => {
        await end();
        process.stderr.write(`The stop failed: ${String(error)}\n`);
        process.exit(1);
      },
    );
  };
  process.on('SIGTERM', onSignal);
  process.on('SIGINT', onSignal);
}

function greet(io: Io, config: Config, port: number, demo: DemoNode | null): void {
  const { issuer, environment } = config;
  const next =
    demo !== null
      ? firstSteps(issuer, demo)
      : config.isProduction
        ? ''
        : 'To get a VPN node to try with: npm run -s portcullis -- vpn-nodes create my-node\n';
  const pages = config.isProduction
    ? ''
    : `People have their account at ${issuer}/account; the JSON API is told at ${issuer}/docs.\n`;
  io.err(
    `Portcullis serves ${issuer} (${environment}, port ${port}, store ${storeNameOf(config)}).\n${pages}${next}`,
  );
}

/** The three commands of a VPN node, to be pasted as they are. */
export function firstSteps(issuer: string, { clientId, secret }: DemoNode): string {
  const accessToken = `sed 's/.*"access_token":"\\([^"]*\\)".*/\\1/'`;
  return `
The store was empty, so here is a VPN node to try with. Its secret is shown this once:

  client_id      ${clientId}
  client_secret  ${secret}

Paste these: an access token, its exchange for the VPN JWT, and the keys that anybody checks the JWT with.

  TOKEN=$(curl -s -u ${clientId}:${secret} -d 'grant_type=client_credentials&scope=read' ${issuer}/o/token/ | ${accessToken})
  JWT=$(curl -s -X POST -H "Authorization: Bearer $TOKEN" ${issuer}/vpn/auth/ | ${accessToken}); echo "$JWT"
  curl -s ${issuer}/o/.well-known/jwks.json

`;
}
