/** `/`, `/auth/login/*` and `/auth/logout/`: how people get a session at the node, and what they see of themselves. */
import type { Context } from 'koa';
import Router from 'koa-router';
import { z } from 'zod';

import type { JwtService, OAuth2Client, TestTokens, TokenValidator } from '../../src/sdk/node/node.ts';
import { Problem } from '../protected-api/problem.ts';
import type { Browsers } from './browsers.ts';
import { readFields } from './fields.ts';
import type { Operators } from './operators.ts';
import { loginPage, startPage, testTokenPage } from './pages.ts';
import type { SignIn } from './sign-in.ts';

interface LoginRouteOptions {
  readonly origin: string;
  readonly browsers: Browsers;
  readonly operators: Operators;
  readonly signIn: SignIn;
  readonly client: OAuth2Client;
  readonly service: JwtService;
  readonly validator: TokenValidator;
  /** Null in production. */
  readonly testTokens: TestTokens | null;
}

const TestTokenRequest = z.object({
  username: z.string().trim().min(1).max(64),
  email: z.email().max(254),
  role: z.enum(['basic', 'manager', 'admin']),
});

export function createLoginRoutes(options: LoginRouteOptions): Router {
  const { browsers, operators, service, testTokens } = options;
  const router = new Router({ sensitive: true });

  router.get('/', async (ctx) => {
    const operator = await operators.atBrowser(ctx);
    const visitor = operator && { user: operator.user, claims: operator.caller.claims };
    ctx.body = startPage(visitor, service.held(), browsers.csrf(ctx));
  });
  router.get('/auth/login', (ctx) => {
    ctx.body = loginPage(browsers.csrf(ctx), testTokens !== null);
  });
  router.get('/auth/login/start', async (ctx) => {
    const { url, pending } = await options.signIn.begin();
    browsers.rememberSignIn(ctx, pending);
    seeOther(ctx, url.href);
  });
  router.get('/auth/callback', (ctx) => finishSignIn(ctx, options));
  router.post('/auth/logout', async (ctx) => {
    browsers.assertOwnForm(ctx, (await readFields(ctx))['csrf']);
    browsers.closeSession(ctx);
    seeOther(ctx, '/');
  });
  if (testTokens !== null) addTestTokens(router, options, testTokens);
  return router;
}

/** The person's ID token is exchanged for their VPN JWT, by which the node knows them as every other node would. */
async function finishSignIn(
  ctx: Context,
  { origin, browsers, signIn, client, validator }: LoginRouteOptions,
): Promise<void> {
  const currentUrl = new URL(ctx.originalUrl, origin);
  const pending = browsers.takeSignIn(ctx, currentUrl.searchParams.get('state') ?? '');
  if (pending === null) {
    throw new Problem(400, 'This sign-in is too old, or was begun in another browser. Begin it again.');
  }
  const subjectToken = await signIn.finish(currentUrl, pending);
  const jwt = await client.getVpnJwtToken({ subjectToken });
  browsers.openSession(ctx, jwt, await validator.verify(jwt));
  seeOther(ctx, '/');
}

/** Development alone: anybody is whoever they type. */
function addTestTokens(
  router: Router,
  { browsers, validator }: LoginRouteOptions,
  testTokens: TestTokens,
): void {
  router.post('/auth/login/test-token', async (ctx) => {
    const fields = await readFields(ctx);
    browsers.assertOwnForm(ctx, fields['csrf']);
    const request = TestTokenRequest.safeParse(fields);
    if (!request.success) throw new Problem(400, 'Give a username, an email address and one of the roles.');
    const token = await testTokens.make(request.data);
    ctx.body = testTokenPage(browsers.csrf(ctx), request.data.username, token);
  });
  router.post('/auth/login/authenticate', async (ctx) => {
    const fields = await readFields(ctx);
    browsers.assertOwnForm(ctx, fields['csrf']);
    const jwt = String(fields['token']);
    const caller = await validator.verify(jwt);
    if (caller.kind === 'node') throw new Problem(403, 'This is the token of a node, and no person’s.');
    browsers.openSession(ctx, jwt, caller);
    seeOther(ctx, '/');
  });
}

function seeOther(ctx: Context, location: string): void {
  ctx.redirect(location);
  ctx.status = 303;
}
