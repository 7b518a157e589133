/**
 * People and the real examples in a real browser: the server where its issuer says, both examples on ports of their
 * own, declared by the file that `npm run examples` applies, and an ear for whatever the browser complains about.
 */
import { randomBytes, randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import type { Browser, BrowserContext, BrowserContextOptions, Page } from 'playwright-core';

import { startSpa } from '../../examples/spa/server.ts';
import { startWeb } from '../../examples/web/server.ts';
import { findFreePort, ROOT } from '../cli/serve-process.ts';
import { startTestServer } from './server.ts';
import type { StoreKind, TestServer } from './server.ts';

/** Nothing in these tests waits longer for anything on a page. */
export const WAIT_MS = 25_000;

export interface Life {
  readonly server: TestServer;
  /** Origins of the two examples. */
  readonly spa: string;
  readonly web: string;
  stop(): Promise<void>;
}

/** A new person, from the signed-out page of an example to the one that greets them. */
export async function enterSpa(page: Page, spa: string, person: NewPerson): Promise<void> {
  await page.goto(spa);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await register(page, person);
  await page.getByRole('button', { name: 'Allow', exact: true }).click();
  await page.getByRole('heading', { name: `Hello, ${person.fullName}` }).waitFor();
}

/** Starts the server and both examples, which find it by its issuer. */
export async function startLife(store: StoreKind): Promise<Life> {
  const port = String(await findFreePort());
  const server = await startTestServer(store, { ISSUER: `http://localhost:${port}`, PORT: port });
  const { issuer } = server;
  const clientSecret = randomBytes(32).toString('base64url');
  const spa = await startSpa({ issuer, port: 0 });
  const web = await startWeb({ issuer, port: 0, clientSecret });
  const declared = readFileSync(join(ROOT, 'examples/clients.yaml'), 'utf8')
    .replaceAll('http://localhost:8020', spa.origin)
    .replaceAll('http://localhost:8021', web.origin);
  const applied = await server.administration.apply(declared, { WEB_EXAMPLE_SECRET: clientSecret }, false);
  if (!applied.ok) throw new Error(JSON.stringify(applied.faults));
  return {
    server,
    spa: spa.origin,
    web: web.origin,
    stop: async () => {
      await Promise.all([spa.close(), web.close()]);
      await server.stop();
    },
  };
}

export interface Visit {
  readonly context: BrowserContext;
  /** Opens another tab of the same browser. */
  open(): Promise<Page>;
  /** What the browser complained about since it was asked last: scripts, policies, requests. */
  complaints(): readonly string[];
}

/** A browser of its own: one person's device. */
export async function visit(browser: Browser, options: BrowserContextOptions = {}): Promise<Visit> {
  const context = await browser.newContext({ locale: 'en-GB', ...options });
  context.setDefaultTimeout(WAIT_MS);
  context.setDefaultNavigationTimeout(WAIT_MS);
  const heard: string[] = [];
  context.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning') heard.push(message.text());
  });
  context.on('weberror', (error) => heard.push(error.error().message));
  context.on('requestfailed', (request) => {
    const reason = request.failure()?.errorText ?? '';
    // A page that is left lets go of what it was loading.
    if (reason !== 'net::ERR_ABORTED') heard.push(`${request.method()} ${request.url()}: ${reason}`);
  });
  return { context, open: () => context.newPage(), complaints: () => heard.splice(0) };
}

export interface NewPerson {
  readonly username: string;
  readonly email: string;
  readonly fullName: string;
  readonly password: string;
}

export function newPerson(): NewPerson {
  const username = `alice-${randomUUID().slice(0, 8)}`;
  const password = `four words and ${randomUUID().slice(0, 8)}`;
  return { username, email: `${username}@example.com`, fullName: 'Alice Adams', password };
}

/** From the page that asks to sign in: makes an account, and sends the form. */
export async function register(page: Page, person: NewPerson): Promise<void> {
  await page.getByRole('link', { name: 'Create an account' }).click();
  await page.getByLabel('Username').fill(person.username);
  await page.getByLabel('Email address').fill(person.email);
  await page.getByLabel('Full name').fill(person.fullName);
  await page.getByLabel('Password').fill(person.password);
  await page.getByRole('button', { name: 'Create account' }).click();
}

/** Fills in the page that asks to sign in, and sends it. */
export async function signIn(page: Page, { username, password }: NewPerson): Promise<void> {
  await page.getByLabel('Username or email address').fill(username);
  await page.getByLabel('Password').fill(password);
  await page.getByRole('button', { name: 'Sign in' }).click();
}
