/**
 * A browser without JavaScript: it keeps cookies, follows redirects on the server's own origin, and sends the forms
 * of a page as they stand. What a person sees and does in the tests over HTTP.
 */
import type { TestServer } from './server.ts';

export interface Page {
  readonly status: number;
  readonly path: string;
  readonly html: string;
  readonly headers: Headers;
  /** Where it leads to, outside of the server; null for a page of its own. */
  readonly redirect: URL | null;
}

export interface Visitor {
  open(path: string): Promise<Page>;
  /** Sends the form of `page` that goes to `action` (its first one), with these fields over those it has. */
  send(page: Page, fields: Readonly<Record<string, string>>, action?: string): Promise<Page>;
  cookies(): ReadonlyMap<string, string>;
}

const MAX_REDIRECTS = 10;

/** Visits one instance; `origin` where it is not the first one, with `cookies` from the start. */
export function createVisitor(
  server: TestServer,
  origin = server.origin,
  cookies: ReadonlyMap<string, string> = new Map(),
): Visitor {
  const jar = new Map(cookies);

  const request = async (path: string, init: RequestInit, redirects = 0): Promise<Page> => {
    const headers = new Headers(init.headers);
    headers.set('accept', 'text/html');
    headers.set('cookie', [...jar].map(([name, value]) => `${name}=${value}`).join('; '));
    headers.set('sec-fetch-site', 'same-origin');
    const answer = await fetch(origin + path, { ...init, headers, redirect: 'manual' });
    for (const cookie of answer.headers.getSetCookie()) store(jar, cookie);
    const location = answer.headers.get('location');
    const base = { status: answer.status, path, headers: answer.headers };
    if (location === null) return { ...base, html: await answer.text(), redirect: null };
    const target = new URL(location, server.issuer);
    if (target.origin !== server.issuer) return { ...base, html: '', redirect: target };
    if (redirects === MAX_REDIRECTS) throw new Error(`${path} redirects in circles`);
    return request(target.pathname + target.search, {}, redirects + 1);
  };

  return {
    cookies: () => jar,
    open: (path) => request(path, {}),
    send: (page, fields, action) => {
      const form = findForm(page.html, action);
      const body = new URLSearchParams({ ...form.fields, ...fields }).toString();
      return request(form.action.replace(server.issuer, ''), {
        method: 'POST',
        headers: { 'content-type': 'application/x-www-form-urlencoded' },
        body,
      });
    },
  };
}

function store(jar: Map<string, string>, cookie: string): void {
  const [pair = '', ...attributes] = cookie.split(';');
  const [, name = '', value = ''] = /^([^=]+)=(.*)$/.exec(pair) ?? [];
  const isGone = attributes.some((attribute) => /expires=Thu, 01 Jan 1970|max-age=0/i.test(attribute));
  if (isGone || value === '') jar.delete(name);
  else jar.set(name, value);
}

interface Form {
  readonly action: string;
  readonly fields: Readonly<Record<string, string>>;
}

function findForm(html: string, action?: string): Form {
  for (const [, opening = '', inside = ''] of html.matchAll(/<form([^>]*)>(.*?)<\/form>/gs)) {
    const target = unescape(attribute(opening, 'action') ?? '');
    if (action !== undefined && target !== action) continue;
    const hidden = [...inside.matchAll(/<input([^>]*)>/g)].flatMap(([, input = '']) =>
      attribute(input, 'type') === 'hidden'
        ? [[attribute(input, 'name') ?? '', unescape(attribute(input, 'value') ?? '')]]
        : [],
    );
    return { action: target, fields: Object.fromEntries(hidden) as Record<string, string> };
  }
  throw new Error(`the page has no form ${action ?? ''}: ${html.slice(0, 2_000)}`);
}

const attribute = (tag: string, name: string): string | undefined =>
  new RegExp(`\\b${name}="([^"]*)"`).exec(tag)?.[1];

const unescape = (text: string): string =>
  text
    .replaceAll('&quot;', '"')
    .replaceAll('&#39;', "'")
    .replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>')
    .replaceAll('&amp;', '&');
