/**
 * Serves the single-page app: its files as they are, the browser build of oidc-client-ts, where it finds the
 * server, and the API that it calls. There is no bundler and no session: whoever is signed in, the browser knows.
 */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

import { listen, plain } from '../listen.ts';
import type { Answer, ExampleServer } from '../listen.ts';
import { API_RESOURCE, API_SCOPE, createApi } from './api.ts';

export interface SpaOptions {
  readonly issuer: string;
  readonly port: number;
}

const PUBLIC = join(import.meta.dirname, 'public');
const SHARED = join(import.meta.dirname, '..');
const require = createRequire(import.meta.url);
const LIBRARY = join(dirname(require.resolve('oidc-client-ts')), '../browser/oidc-client-ts.min.js');
const HTML = 'text/html; charset=utf-8';
const SCRIPT = 'text/javascript; charset=utf-8';

/** Read at the start: a request names an entry of this table, never a path of the disk. */
const FILES: Readonly<Record<string, { readonly file: string; readonly type: string }>> = {
  '/': { file: join(PUBLIC, 'index.html'), type: HTML },
  '/callback.html': { file: join(PUBLIC, 'callback.html'), type: HTML },
  '/app.js': { file: join(PUBLIC, 'app.js'), type: SCRIPT },
  '/callback.js': { file: join(PUBLIC, 'callback.js'), type: SCRIPT },
  '/session.js': { file: join(PUBLIC, 'session.js'), type: SCRIPT },
  '/oidc-client-ts.min.js': { file: LIBRARY, type: SCRIPT },
  '/icon.svg': { file: join(SHARED, 'icon.svg'), type: 'image/svg+xml' },
  '/style.css': { file: join(SHARED, 'style.css'), type: 'text/css; charset=utf-8' },
};

/** Starts it on a port of loopback. */
export function startSpa({ issuer, port }: SpaOptions): Promise<ExampleServer> {
  const pages = new Map(Object.entries(FILES).map(([path, { file, type }]) => [path, load(file, type)]));
  pages.set('/settings.js', settingsFor(issuer));
  const api = createApi(issuer);

  return listen(port, contentSecurityPolicy(issuer), () => async (request) => {
    const { method, url } = request;
    if (method !== 'GET' && method !== 'HEAD') return plain(405, 'This takes GET.');
    if (url.pathname === '/api/greeting') return api(request);
    return pages.get(url.pathname) ?? plain(404, 'There is nothing here. The app is at /.');
  });
}

const load = (file: string, type: string): Answer => ({ status: 200, type, body: readFileSync(file) });

const settingsFor = (issuer: string): Answer => ({
  status: 200,
  type: SCRIPT,
  body: `export const settings = ${JSON.stringify({ issuer, resource: API_RESOURCE, apiScope: API_SCOPE })};\n`,
});

/**
 * The tokens are where a script of this origin can read them, so no other script may run here: nothing inline,
 * nothing from elsewhere, and no way out but to the issuer.
 */
const contentSecurityPolicy = (issuer: string): readonly string[] => [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  `connect-src 'self' ${new URL(issuer).origin}`,
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
];
