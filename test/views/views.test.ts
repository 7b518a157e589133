// The pages as they are sent: in both languages, escaped, with a policy that lets no script run.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { createHash } from 'node:crypto';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import fc from 'fast-check';

import { contrastOf, lightenFor } from '../../src/colour.ts';
import { chooseLocale, createTranslator } from '../../src/i18n/locale.ts';
import { describeTime } from '../../src/i18n/time.ts';
import { errorPage, LANGUAGES, NOW, PAGES, servePages } from './pages.ts';
import type { PageServer } from './pages.ts';

const VIEWS = join(import.meta.dirname, '../../views');
const ATTACK = `"><script>alert(1)</script><img src=x onerror='alert(2)'>{{t}}$t(signIn.title)`;

/** Pages that show nothing of what they are given. */
const SAYS_NOTHING_GIVEN = new Set(['expired-session', 'device-code', 'device-aborted']);

type Texts = Readonly<Record<string, unknown>>;

const textsOf = (locale: string): ReadonlyMap<string, string> => {
  const flatten = (texts: Texts, path: string): readonly (readonly [string, string])[] =>
    Object.entries(texts).flatMap(([key, value]) =>
      typeof value === 'string' ? [[path + key, value] as const] : flatten(value as Texts, `${path}${key}.`),
    );
  return new Map(flatten(JSON.parse(readFileSync(join(VIEWS, `texts/${locale}.json`), 'utf8')) as Texts, ''));
};

/** The data with every text in it turned into an attack, but the engine's own HTML, and what names a text of ours. */
const poison = (value: unknown, key = ''): unknown => {
  if (typeof value === 'string') return key === 'form' || key === 'kind' ? value : value + ATTACK;
  if (Array.isArray(value)) return value.map((item) => poison(item));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, poison(inner, name)]));
};

describe('each page', () => {
  const poisoned = Object.fromEntries(
    Object.entries(PAGES).map(([name, { view, data }]) => [
      `${name}-attacked`,
      { view, data: poison(data) as typeof data },
    ]),
  );
  const away = {
    view: 'pages/consent',
    data: PAGES['consent']?.data ?? {},
    options: {
      locale: 'de' as const,
      formAction: [
        'https://app.example.com/callback?a=b;c',
        'https://app.example.com/other',
        'com.example.app:/callback',
        'http://127.0.0.1:7000/',
        'http://[::1]:7000/',
      ],
    },
  };
  const sent = { view: 'pages/hand-on', data: PAGES['hand-on']?.data ?? {}, options: { sendsItself: true } };
  let server: PageServer;
  beforeAll(async () => {
    server = await servePages({ ...PAGES, ...poisoned, away, sent });
  });
  afterAll(() => server.stop());

  const get = async (name: string, headers: Readonly<Record<string, string>> = {}) => {
    const answer = await fetch(`${server.url}/${name}`, { headers });
    return { answer, html: await answer.text() };
  };

  test.each(Object.keys(PAGES))('%s is there in both languages', async (name) => {
    for (const locale of LANGUAGES) {
      const { answer, html } = await get(`${name}?ui_locales=${locale}`);
      expect(answer.status).toBe(200);
      expect(html).toContain(`<html lang="${locale}">`);
      expect(html).not.toMatch(/undefined|\[object|\{\{|<script|null<|NaN/);
      expect(html.match(/<h1>/g)).toHaveLength(1);
      const forms = html.match(/<form [^>]*action="(?!\/op\.)/g) ?? [];
      expect(html.match(/name="csrf"/g) ?? []).toHaveLength(forms.length);
      expect(forms.every((form) => form.includes('method="post"'))).toBe(true);
    }
  });

  test.each(Object.keys(PAGES))('%s escapes whatever it is given', async (name) => {
    const { answer, html } = await get(`${name}-attacked`);
    expect(answer.status).toBe(200);
    expect(html).not.toMatch(/<script|<img|alert\(2\)'/);
    // An attribute cannot be left: every quote of the attack is an entity.
    expect(html).not.toContain(`"><script`);
    if (SAYS_NOTHING_GIVEN.has(name)) return;
    expect(html).toContain('&lt;script&gt;');
    // A value is no text of ours, and no template.
    expect(html).toContain('$t(signIn.title)');
  });

  test('allows its own style by hash, no script, no frame, and forms to here only', async () => {
    const { answer, html } = await get('sign-in');
    const style = /<style>(.*?)<\/style>/s.exec(html)?.[1] ?? '';
    const hash = createHash('sha256').update(style).digest('base64');
    const policy = answer.headers.get('content-security-policy') ?? '';
    expect(policy.split('; ')).toEqual([
      "default-src 'none'",
      `style-src 'sha256-${hash}'`,
      "img-src 'self' data:",
      "base-uri 'none'",
      "object-src 'none'",
      "form-action 'self'",
      "frame-ancestors 'none'",
    ]);
    expect(answer.headers.get('cache-control')).toBe('no-store');
    expect(html).not.toMatch(/ style="| on\w+="|https?:\/\//);
  });

  test('lets a form lead to the redirect URIs that it was given, as sources of the policy', async () => {
    const { answer, html } = await get('away', { 'Accept-Language': 'en' });
    expect(answer.headers.get('content-security-policy')).toContain(
      "; form-action 'self' https://app.example.com com.example.app: http://127.0.0.1:7000 http:; frame",
    );
    expect(html).toContain('<html lang="de">');
  });

  test('runs one script, on the page that sends itself', async () => {
    const { answer, html } = await get('sent');
    const [, script = ''] = /<script>(.*?)<\/script>/s.exec(html) ?? [];
    expect(script).toBe('document.forms[0].submit()');
    const hash = createHash('sha256').update(script).digest('base64');
    expect(answer.headers.get('content-security-policy')).toContain(`; script-src 'sha256-${hash}'; `);
  });

  test.each(['notFound', 'programs', 'over', 'application', 'form', 'tooMany', 'busy', 'fault'] as const)(
    'tells what to do about an error of the kind %s, in both languages',
    async (kind) => {
      const errors = await servePages({ error: errorPage(kind) });
      for (const locale of LANGUAGES) {
        const html = await (await fetch(`${errors.url}/error?ui_locales=${locale}`)).text();
        expect(html).toContain(`<html lang="${locale}">`);
        expect(html).toMatch(/<h1>[^<]{8,}<\/h1>\s*<p>[^<]{40,}<\/p>/);
      }
      await errors.stop();
    },
  );

  test('shows the logo of the brand in the place of our mark', async () => {
    const branded = await servePages(PAGES, { name: 'Example', accent: '#1d6b3f', logo: {} });
    const html = await (await fetch(`${branded.url}/sign-in`)).text();
    await branded.stop();
    expect(html).toContain('<img class="logo" src="/brand/logo" alt="">Example');
    expect(html).toContain('<link rel="icon" href="/brand/logo">');
    expect(html).not.toContain('<svg');
  });

  test('tells an error at its field, in the summary and in the title', async () => {
    const { html } = await get('register-refused');
    expect(html).toContain('<title>Error: Create an account · Portcullis</title>');
    expect(html).toContain('<li><a href="#email">Write an address such as name@example.com.</a></li>');
    expect(html).toMatch(/<input id="email" [^>]*value="alice@"[^>]*aria-invalid="true" aria-describedby="email-error"/);
    expect(html).toMatch(/<input id="username" [^>]* autofocus [^>]*aria-describedby="username-hint username-error"/);
    expect(html.match(/ autofocus/g)).toHaveLength(1);
  });

  test('tells the scopes of one service together, and where one goes only where one goes somewhere', async () => {
    const { html } = await get('consent-device');
    const scopes = '<code>reports:read</code><code>reports:write</code>';
    expect(html).toContain(`use api.example.com in your name, as far as these scopes go:</span> ${scopes}</li>`);
    expect(html).not.toContain('You go on to');
    expect((await get('consent')).html).toContain('You go on to invoices.example.com.');
  });

  test('shows what a document has in backticks as code, and no cell with nothing but a space', async () => {
    const { html } = await get('docs');
    expect(html).toContain('data-label="Meaning"><span>The <code>username</code> or the address.</span></td>');
    expect(html).toContain('data-label="Meaning"></td>');
    expect(html).not.toContain('`');
  });

  test('never sends a password back', async () => {
    const { html } = await get('register-refused');
    expect(html).toMatch(/<input id="password" name="password" type="password" autocomplete="new-password" required/);
  });

  test('follows Accept-Language where nothing else was said', async () => {
    const { html } = await get('sign-in', { 'Accept-Language': 'fr, de-AT;q=0.8, en;q=0.7' });
    expect(html).toContain('Auf diesem Gerät angemeldet bleiben');
  });

  test('says when a locked account can be tried again', async () => {
    const { html } = await get('sign-in-locked');
    expect(html).toContain('Try again in 30 minutes (21 Nov 2026, 06:44 UTC).');
  });
});

describe('texts', () => {
  const [en, de] = [textsOf('en'), textsOf('de')];
  const namesIn = (text = ''): readonly string[] => (text.match(/\{\{\w+\}\}/g) ?? []).sort();

  test('are complete in German, with the same values', () => {
    expect([...de.keys()].sort()).toEqual([...en.keys()].sort());
    const differing = [...en].filter(([key, text]) => namesIn(text).join() !== namesIn(de.get(key)).join());
    // The singular of German does without its number, as that of English does.
    expect(differing).toEqual([]);
    expect([...en].filter(([key, text]) => text === de.get(key) && !/^(Name|Code)$/.test(text))).toEqual([]);
  });

  test('are there for every key that a template names', () => {
    const templates = globSync('**/*.eta', { cwd: VIEWS }).map((file) => readFileSync(join(VIEWS, file), 'utf8'));
    const named = templates.flatMap((text) => text.match(/'[a-z]\w+(?:\.[\w-]+)+'/gi) ?? []);
    const keys = [...new Set(named.map((key) => key.slice(1, -1)))].filter((key) => !key.startsWith('op.'));
    expect(keys.length).toBeGreaterThan(80);
    expect(keys.filter((key) => !en.has(key) && !en.has(`${key}_one`))).toEqual([]);
  });

  test('count', () => {
    const t = createTranslator();
    expect(t('en', 'common.problem', { count: 1 })).toBe('Something needs your attention');
    expect(t('de', 'common.problem', { count: 3 })).toBe('Bitte prüfen Sie 3 Angaben');
  });

  test('take values as they are, whatever they look like', () => {
    const t = createTranslator();
    for (const client of ['<b>&', '$t(signIn.title)', '{{client}}', '{{- client}}', '__proto__']) {
      expect(t('en', 'signIn.for', { client })).toBe(`to continue to ${client}`);
    }
    expect(t('en', 'signIn.for', { client: 'A', lng: 'de', defaultValue: 'x' })).toBe('to continue to A');
  });

  test('that are not there are a fault of ours, not a page with a key in it', () => {
    const t = createTranslator();
    expect(() => t('en', 'signIn.nothing')).toThrow('There is no text signIn.nothing');
    expect([t.has('signIn.title'), t.has('signIn.nothing'), t.has('A sentence.')]).toEqual([true, false, false]);
  });
});

describe('the language', () => {
  test.each([
    [undefined, undefined, 'en'],
    [undefined, 'de', 'de'],
    [undefined, 'de-CH, en;q=0.9', 'de'],
    [undefined, 'en;q=0.5, de;q=0.9', 'de'],
    [undefined, 'de;q=0, en', 'en'],
    [undefined, 'fr, it;q=0.8', 'en'],
    [undefined, '*', 'en'],
    [undefined, 'de;q=x', 'en'],
    ['de', 'en', 'de'],
    ['fr de-AT en', 'en', 'de'],
    ['fr', 'de', 'de'],
    ['DE', undefined, 'de'],
  ] as const)('of ui_locales %j and Accept-Language %j is %s', (uiLocales, acceptLanguage, expected) => {
    expect(chooseLocale(uiLocales, acceptLanguage)).toBe(expected);
  });

  test('is one of ours for any input', () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), (uiLocales, header) => {
        expect(LANGUAGES).toContain(chooseLocale(uiLocales, header));
      }),
    );
  });
});

test('a time has its zone and tells how far it is', () => {
  expect(describeTime('en', NOW - 11_000, NOW)).toEqual({
    iso: '2026-11-21T03:11:40.000Z',
    text: '21 Nov 2026, 03:11 UTC',
    relative: '3 hours ago',
  });
  expect(describeTime('de', NOW + 61, NOW).relative).toBe('in 2 Minuten');
  expect(describeTime('de', NOW - 86_400, NOW).relative).toBe('gestern');
});

test('any accent that is readable on white has a readable twin for dark pages', () => {
  const channel = fc.integer({ min: 0, max: 255 }).map((value) => value.toString(16).padStart(2, '0'));
  fc.assert(
    fc.property(channel, channel, channel, (red, green, blue) => {
      const twin = lightenFor('#1a202a', `#${red}${green}${blue}`, 4.5);
      expect(twin).toMatch(/^#[0-9a-f]{6}$/);
      expect(contrastOf(twin, '#1a202a')).toBeGreaterThanOrEqual(4.5);
    }),
  );
  expect(contrastOf('#000000', '#ffffff')).toBeCloseTo(21);
});
