/** A VPN node as a server: Koa around `portcullis/node`. It keeps its JWT, its sessions and its users by itself. */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';

import Koa from 'koa';
import type { Context, Next } from 'koa';
import Router from 'koa-router';

// Elsewhere: from 'portcullis/node'.
import {
  createJwtService,
  createOAuth2Client,
  createTestTokens,
  createTokenValidator,
} from '../../src/sdk/node/node.ts';
import type { NodeSettings, RevocationFeed } from '../../src/sdk/node/node.ts';
import { createBrowsers } from './browsers.ts';
import { createFailures } from './failures.ts';
import { createLoginRoutes } from './login-routes.ts';
import { createOperators } from './operators.ts';
import { createSignIn } from './sign-in.ts';
import { createUsers } from './users.ts';
import { createVpnRoutes } from './vpn-routes.ts';

export interface VpnNodeOptions {
  readonly settings: NodeSettings;
  /** 0 takes any free one. */
  readonly port: number;
  /** Where browsers find it, if not at that port of localhost: `https://node.example.com`. */
  readonly origin?: string | undefined;
  /** Where the node's users are kept; in memory alone, if left out. */
  readonly usersFile?: string | undefined;
  readonly revocations?: RevocationFeed | undefined;
  /** Hears what callers are not told; the terminal, if left out. */
  readonly report?: (error: unknown) => void;
}

export interface VpnNode {
  readonly origin: string;
  close(): Promise<void>;
}

const now = (): number => Math.floor(Date.now() / 1000);

/** Starts it on a port of loopback. Throws a TypeError for settings that must not be, before it listens. */
export async function startVpnNode(options: VpnNodeOptions): Promise<VpnNode> {
  const { settings, port, report = console.error } = options;
  const makeApp = prepare(options, report);
  const server = createServer().listen(port, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (typeof address !== 'object' || address === null) throw new Error('it listens on no port');
  const origin = new URL(options.origin ?? `http://localhost:${address.port}`).origin;
  const handle = makeApp(origin).callback();
  server.on('request', (request, response) => void handle(request, response));
  report(`VPN node ${settings.clientId}: ${origin}, for people of ${settings.issuer}.`);
  return {
    origin,
    close: async () => {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

/** Makes what may throw at once, and the application once its origin is known. */
function prepare(
  { settings, usersFile, revocations }: VpnNodeOptions,
  report: (error: unknown) => void,
): (origin: string) => Koa {
  const client = createOAuth2Client(settings);
  const validator = createTokenValidator({ ...settings, revocations, onUnavailable: report });
  const service = createJwtService({ client, validator });
  const users = createUsers(usersFile ?? null, now);
  const { testSecret: secret, environment } = settings;
  const testTokens = secret === undefined ? null : createTestTokens({ secret, environment });

  return (origin) => {
    const browsers = createBrowsers(origin, now);
    const operators = createOperators({ validator, users, browsers });
    const signIn = createSignIn(settings, `${origin}/auth/callback/`);
    const login = { origin, browsers, operators, signIn, client, service, validator, testTokens };
    const app = new Koa();
    app.use(answerSafely);
    app.use(createFailures(report));
    for (const router of [
      createAssetRoutes(),
      createLoginRoutes(login),
      createVpnRoutes({ settings, service, operators, now }),
    ]) {
      app.use(router.routes());
      app.use(router.allowedMethods());
    }
    return app;
  };
}

const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  "style-src 'self'",
  "img-src 'self'",
  "base-uri 'none'",
  "form-action 'self'",
  "frame-ancestors 'none'",
].join('; ');

async function answerSafely(ctx: Context, next: Next): Promise<void> {
  ctx.set({
    'Content-Security-Policy': CONTENT_SECURITY_POLICY,
    'X-Content-Type-Options': 'nosniff',
    'Referrer-Policy': 'same-origin',
    'Cross-Origin-Opener-Policy': 'same-origin',
    'Cache-Control': 'no-store',
  });
  await next();
}

function createAssetRoutes(): Router {
  const router = new Router({ sensitive: true });
  for (const [file, type] of [
    ['style.css', 'text/css; charset=utf-8'],
    ['icon.svg', 'image/svg+xml'],
  ] as const) {
    const content = readFileSync(join(import.meta.dirname, '..', file));
    router.get(`/${file}`, (ctx) => {
      ctx.type = type;
      ctx.body = content;
    });
  }
  return router;
}
