/** The node's pages, as text: what they show of others is escaped. They need no JavaScript. */
import { escape, timeOf, toPage } from '../html.ts';
import type { HeldToken } from '../../src/sdk/node/node.ts';
import type { LocalUser, Right } from './users.ts';

export interface Visitor {
  readonly user: LocalUser;
  readonly claims: Readonly<Record<string, unknown>>;
}

/** The start page, for a person or for nobody. `csrf` is for its forms. */
export function startPage(visitor: Visitor | null, held: HeldToken | null, csrf: string): string {
  if (visitor === null) return page('A VPN node', `${SIGNED_OUT}${nodeCard(held, [], csrf)}`);
  const { user, claims } = visitor;
  return page(
    `Hello, ${user.username}`,
    `<dl>
      <dt>Username</dt><dd id="username">${escape(user.username)}</dd>
      <dt>Email</dt><dd id="email">${escape(user.email ?? 'none')}</dd>
      <dt>User level</dt><dd id="level">${titleOf(user.level)} (${user.level})</dd>
      <dt>May here</dt><dd id="acl">${escape(user.acl.join(', ') || 'nothing')}</dd>
    </dl>
    <div class="actions">${form('/auth/logout/', 'Sign out', csrf)}</div>
    ${nodeCard(held, user.acl, csrf)}
    <h2>Claims</h2><pre id="claims">${escape(JSON.stringify(claims, null, 2))}</pre>`,
  );
}

const SIGNED_OUT = `<p>This node lets in people whom Portcullis knows.</p>
  <p class="actions"><a class="button primary" href="/auth/login/">Sign in</a></p>`;

/** What each level is called, from the highest on. */
const TITLES: readonly (readonly [least: number, title: string])[] = [
  [50, 'Administrator'],
  [30, 'Manager'],
  [10, 'Basic'],
];

const titleOf = (level: number): string => TITLES.find(([least]) => level >= least)?.[1] ?? 'Nobody';

function nodeCard(held: HeldToken | null, acl: readonly Right[], csrf: string): string {
  const state =
    held === null ? 'holds no JWT' : `holds a JWT as ${escape(held.subject)} until ${timeOf(held.expiresAt)}`;
  const actions: readonly (readonly [Right, string, string])[] = [
    ['token:get', '/auth/vpn/auth/', 'Get a JWT'],
    ['token:refresh', '/auth/vpn/refresh/', 'Force a new one'],
    ['token:clear', '/auth/vpn/clear-cache/', 'Forget it'],
  ];
  const forms = actions.flatMap(([right, action, label]) =>
    acl.includes(right) ? [form(action, label, csrf)] : [],
  );
  return `<h2>This node</h2>
    <p id="node">The node ${state}.</p>
    ${forms.length > 0 ? `<div class="actions">${forms.join('')}</div>` : ''}`;
}

/** The page for signing in; in development with the form for a test token. */
export function loginPage(csrf: string, hasTestTokens: boolean): string {
  return page(
    'Sign in',
    `<p>You sign in at Portcullis, which tells this node who you are.</p>
    <p class="actions"><a class="button primary" href="/auth/login/start/">Sign in with Portcullis</a></p>
    ${hasTestTokens ? testTokenForm(csrf) : ''}`,
  );
}

const testTokenForm = (csrf: string): string => `<h2>Test token</h2>
  <p>For development: be whoever you like, without an account. Production has no such form.</p>
  <form method="post" action="/auth/login/test-token/">
    ${hidden('csrf', csrf)}
    <p><label for="new-username">Username</label><br>
      <input id="new-username" name="username" required maxlength="64" autocomplete="off"></p>
    <p><label for="new-email">Email</label><br>
      <input id="new-email" name="email" type="email" required maxlength="254" autocomplete="off"></p>
    <p><label for="new-role">Role</label><br>
      <select id="new-role" name="role"><option>basic</option><option>manager</option><option>admin</option></select></p>
    <button>Generate Token for User</button>
  </form>`;

/** The page that shows a test token that was made. */
export const testTokenPage = (csrf: string, username: string, token: string): string =>
  page(
    `A token for ${username}`,
    `<form method="post" action="/auth/login/authenticate/">
      ${hidden('csrf', csrf)}
      <p><label for="token">Test token, good for an hour</label><br>
        <textarea id="token" name="token" class="token" rows="16" readonly>${escape(token)}</textarea></p>
      <button class="primary">Authenticate</button>
    </form>`,
  );

/** A page for what went wrong, with the way on. */
export const problemPage = (sentence: string): string =>
  page(
    'That did not work',
    `<p class="problem" role="alert">${escape(sentence)}</p>
    <p class="actions"><a class="button primary" href="/auth/login/">Sign in</a> <a class="button" href="/">Start page</a></p>`,
  );

const form = (action: string, label: string, csrf: string): string =>
  `<form method="post" action="${action}">${hidden('csrf', csrf)}<button>${label}</button></form>`;

const hidden = (name: string, value: string): string =>
  `<input type="hidden" name="${name}" value="${escape(value)}">`;

const page = (title: string, content: string): string => toPage('Example VPN node', title, content);
