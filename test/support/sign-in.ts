/**
 * People at the real application: accounts made in its store, beside it, and a browser that answers the forms of its
 * pages as a person would.
 */
import { afterAll, beforeAll } from '@jest/globals';
import { randomUUID } from 'node:crypto';

import { createPasswordHasher } from '../../src/accounts/passwords.ts';
import { createGrants } from '../../src/oidc/grants.ts';
import type { Grants } from '../../src/oidc/grants.ts';
import { createLogoutNotices } from '../../src/oidc/logout-notices.ts';
import { createSessions } from '../../src/oidc/sessions.ts';
import type { Sessions } from '../../src/oidc/sessions.ts';
import { openStorage } from '../../src/storage/open.ts';
import type { Account, Storage } from '../../src/storage/port.ts';
import { form } from './clients.ts';
import { startTestServer } from './server.ts';
import type { StoreKind, TestServer } from './server.ts';
import { createUserAgent } from './user-agent.ts';
import type { UserAgent } from './user-agent.ts';

/** Of every account here; hashed once, since each hash takes its time. */
export const PASSWORD = 'four words and a number 4711';

export interface SignInServer extends TestServer {
  /** The same store, opened beside the server. */
  readonly storage: Storage;
  /** What the pages of an account do, on that store. */
  readonly sessions: Sessions;
  readonly applications: Grants;
  /** Another instance on the same store, of which it sees what `change` leaves; gives its origin. */
  startAnother(change?: (storage: Storage) => Storage): Promise<string>;
  createAccount(fields?: Partial<Account>): Promise<Account>;
  changeAccount(account: Account, fields: Partial<Account>): Promise<void>;
  browser(): UserAgent;
}

/** Starts the application on a fresh store; `wrap` changes what its first instance sees of it. */
export async function startSignInServer(
  store: StoreKind,
  env: Readonly<Record<string, string>> = {},
  wrap: (storage: Storage) => Storage = (opened) => opened,
): Promise<SignInServer> {
  let offsetSeconds = 0;
  const now = (): number => Math.floor(Date.now() / 1000) + offsetSeconds;
  const limits = env['NODE_ENV'] === 'production' ? {} : { RATE_LIMITS: 'off' };
  const wrapped =
    (change: typeof wrap): typeof openStorage =>
    async (...at) =>
      change(await openStorage(...at));
  const server = await startTestServer(store, { ...limits, ...env }, { now, open: wrapped(wrap) });
  const { config, secrets, issuer, origin } = server;
  const storage = await openStorage(secrets.databaseUrl);
  const notices = createLogoutNotices({ ...storage, onQueued: () => undefined, now });
  const lifetimes = {
    sessionIdleSeconds: config.sessions.idleSeconds,
    sessionRememberedSeconds: config.sessions.rememberedSeconds,
    apiRememberedSeconds: config.api.refreshTokenSeconds,
  };

  return {
    ...server,
    storage,
    sessions: createSessions({ ...storage, notices, lifetimes, now }),
    applications: createGrants({ ...storage, grantSeconds: 86_400, now }),
    advance: (seconds) => {
      offsetSeconds += seconds;
    },
    startAnother: async (change = (opened) => opened) =>
      (await server.startInstance({ open: wrapped(change) })).origin,
    createAccount: async (fields = {}) => {
      const account = await makeAccount(now(), fields);
      await storage.accounts.create(account);
      return account;
    },
    changeAccount: async ({ id }, fields) => {
      const current = await storage.accounts.find(id);
      if (current === null) throw new Error(`there is no account ${id}`);
      await storage.accounts.replace({ ...current, ...fields, version: current.version + 1 });
    },
    browser: () => createUserAgent(issuer, origin),
    stop: async () => {
      await storage.close();
      await server.stop();
    },
  };
}

type Prompt = 'login' | 'select_account' | 'consent';

export interface Person {
  readonly account: Account;
  readonly remember?: boolean;
  /** Where the person does not go on: signs in as somebody else, or declines. */
  readonly answers?: { readonly select_account?: 'other'; readonly consent?: 'deny' };
}

/** A page that a person met on the way. */
interface Met {
  readonly prompt: Prompt;
  readonly html: string;
  /** The names of what the application asks for; on the page for consent. */
  readonly asked: readonly string[];
}

/** What a person met on the way, and where it led. */
export interface Journey {
  readonly prompts: readonly Prompt[];
  readonly met: readonly Met[];
  /** The address outside: the redirect URI. */
  readonly left: URL | null;
  readonly answer: Response;
}

/** Opens an address and answers the form of each page on the way. */
export async function answer(
  browser: UserAgent,
  url: string,
  person: Person,
  init?: RequestInit,
): Promise<Journey> {
  const met: Met[] = [];
  let step = await browser.open(url, init);
  while (step.left === null && step.path.startsWith('/interaction/') && step.answer.status === 200) {
    const html = await step.answer.text();
    const [, action = '', at = ''] =
      /<form method="post" action="(\/interaction\/[^/]+\/([a-z-]+))"/.exec(html) ?? [];
    const prompt = PROMPT_OF[at];
    if (prompt === undefined) throw new Error(`no page of a sign-in: ${html}`);
    met.push({
      prompt,
      html,
      asked: [...html.matchAll(/<code>([^<]+)<\/code>/g)].map(([, name = '']) => name),
    });
    const [, csrf = ''] = /name="csrf" value="([^"]+)"/.exec(html) ?? [];
    step = await browser.open(action, form({ csrf, ...answerTo(prompt, person) }));
  }
  return { prompts: met.map(({ prompt }) => prompt), met, left: step.left, answer: step.answer };
}

const PROMPT_OF: Readonly<Record<string, Prompt>> = {
  'sign-in': 'login',
  account: 'select_account',
  consent: 'consent',
};

function answerTo(
  prompt: Prompt,
  { account, remember, answers = {} }: Person,
): Readonly<Record<string, string>> {
  switch (prompt) {
    case 'login':
      return signInFields(account, remember);
    case 'select_account':
      return { choice: answers.select_account ?? 'continue' };
    case 'consent':
      return { decision: answers.consent ?? 'allow' };
  }
}

const signInFields = ({ username }: Account, remember = false) => ({
  login: username,
  password: PASSWORD,
  ...(remember && { remember: 'on' }),
});

/** Signs in at the account's own pages, without an application. */
export async function signInAtAccount(browser: UserAgent, account: Account): Promise<Response> {
  return sendForm(browser, '/account/sign-in', signInFields(account), '/account');
}

/** Sends a form of the account's own pages; `page` shows it. */
export async function sendForm(
  browser: UserAgent,
  action: string,
  fields: Readonly<Record<string, string>>,
  page = action,
): Promise<Response> {
  const { answer: shown } = await browser.open(page);
  const [, csrf = ''] = /name="csrf" value="([^"]+)"/.exec(await shown.text()) ?? [];
  return (await browser.open(action, form({ csrf, ...fields }))).answer;
}

let hashed: Promise<string> | null = null;

/** An account as it is stored. */
async function makeAccount(now: number, fields: Partial<Account>): Promise<Account> {
  const username = fields.username ?? `person-${randomUUID().slice(0, 8)}`;
  return {
    id: randomUUID(),
    username,
    email: `${username}@example.com`,
    emailKey: `${username}@example.com`,
    isEmailVerified: true,
    fullName: 'A Person',
    passwordHash: await (hashed ??= createPasswordHasher().hash(PASSWORD)),
    passwordHistory: [],
    passwordChangedAt: null,
    roles: {},
    status: 'active',
    createdAt: now,
    updatedAt: now,
    version: 1,
    ...fields,
  };
}

/** One server for all the facts of a block. */
export function useSignInServer(
  store: StoreKind,
  env: Readonly<Record<string, string>> = {},
): () => SignInServer {
  let server: SignInServer | null = null;
  beforeAll(async () => {
    server = await startSignInServer(store, env);
  });
  afterAll(async () => {
    await server?.stop();
  });
  return () => {
    if (server === null) throw new Error('the server is not started');
    return server;
  };
}
