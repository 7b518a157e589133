/** The pages of the web application, as text: what they show of others is escaped. */
import { escape, timeOf, toPage } from '../html.ts';
import type { Answer } from '../listen.ts';
import type { Person } from './relying-party.ts';

/** The start page for a person, or for nobody. */
export function startPage(person: Person | null): Answer {
  return person === null
    ? page(200, 'You are signed out', SIGNED_OUT)
    : page(200, greeting(person), signedIn(person));
}

/** A page for what went wrong, with the way on. */
export const problemPage = (status: number, sentence: string): Answer =>
  page(
    status,
    'That did not work',
    `<p class="problem" role="alert">${escape(sentence)}</p>
     <p class="actions"><a class="button primary" href="/sign-in">Sign in</a> <a class="button" href="/">Start page</a></p>`,
  );

const SIGNED_OUT = `<p>This application belongs to somebody else. Portcullis signs you in and tells it who you are.</p>
  <p class="actions"><a class="button primary" href="/sign-in">Sign in</a></p>`;

function greeting({ subject, userinfo }: Person): string {
  const names = [userinfo['name'], userinfo['preferred_username'], subject];
  return `Hello, ${names.find((name) => typeof name === 'string') ?? ''}`;
}

const signedIn = (person: Person): string => `<dl>
    <dt>Account</dt><dd id="subject">${escape(person.subject)}</dd>
    <dt>Access token until</dt><dd id="expires">${timeOf(person.accessTokenExpiresAt)}</dd>
    <dt>Renewed</dt><dd id="renewals">${person.renewals}</dd>
  </dl>
  <div class="actions">
    <form method="post" action="/renew"><button class="primary">Renew now</button></form>
    <form method="post" action="/sign-out"><button>Sign out</button></form>
  </div>
  <h2>ID token</h2><pre id="claims">${pretty(person.claims)}</pre>
  <h2>Userinfo</h2><pre id="userinfo">${pretty(person.userinfo)}</pre>`;

const page = (status: number, title: string, content: string): Answer => ({
  status,
  type: 'text/html; charset=utf-8',
  body: toPage('Example web application', title, content),
});

const pretty = (value: unknown): string => escape(JSON.stringify(value, null, 2));
