/** The protected API as a server: Koa, one guard, and routes that each say who may. It keeps no session and no secret. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import { inspect } from 'node:util';

import Koa from 'koa';

import { createGuard } from '../../src/sdk/guard/guard.ts'; // elsewhere: from 'portcullis/guard'
import { answerProblems } from './problem.ts';
import { createRoutes } from './routes.ts';
import type { State } from './routes.ts';

/** As resources.yaml declares it. */
const AUDIENCE = 'protected-api';

export interface ProtectedApiOptions {
  readonly issuer: string;
  /** 0 takes any free one. */
  readonly port: number;
  /** Hears why nobody can be let in; the terminal, if left out. */
  readonly report?: (line: string) => void;
}

export interface ProtectedApi {
  readonly origin: string;
  close(): Promise<void>;
}

/** Starts it on a port of loopback. */
export async function startProtectedApi({
  issuer,
  port,
  report = console.error,
}: ProtectedApiOptions): Promise<ProtectedApi> {
  const guard = createGuard({
    issuer,
    audience: AUDIENCE,
    onUnavailable: ({ code, cause }) => report(`${code}: ${inspect(cause)}`),
  });
  const app = new Koa<State>();
  const router = createRoutes(guard);
  app.use(answerProblems);
  app.use(router.routes());
  app.use(router.allowedMethods());

  const handle = app.callback();
  const server = createServer((request, response) => void handle(request, response)).listen(
    port,
    '127.0.0.1',
  );
  await once(server, 'listening');
  const address = server.address();
  if (typeof address !== 'object' || address === null) throw new Error('it listens on no port');
  return {
    origin: `http://127.0.0.1:${address.port}`,
    close: async () => {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}
