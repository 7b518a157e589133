/**
 * What holds for every request: the security headers (by helmet), the pinned host, whole requests only. The
 * issuer alone decides scheme and host of every URL that leaves this server; a request cannot.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';

import helmet from 'helmet';
import type Koa from 'koa';
import type { Context } from 'koa';

import { AppError } from '../errors.ts';

const ONE_YEAR_SECONDS = 31_536_000;
const HEALTH_PATHS = new Set(['/healthz', '/readyz']);
const LOOPBACK_HOST = /^(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d{1,5})?$/;

/** Makes `ctx.protocol`, `ctx.host` and all that Koa derives from them those of the issuer (D3). */
export function pinOrigin(app: Koa, issuer: string): void {
  const { protocol, host } = new URL(issuer);
  Object.defineProperty(app.request, 'protocol', { get: () => protocol.slice(0, -1) });
  Object.defineProperty(app.request, 'host', { get: () => host });
  // Koa takes an absolute request target for its own address.
  Object.defineProperty(app.request, 'href', {
    get(this: Koa.Request) {
      return new URL(this.originalUrl, issuer).href;
    },
  });
}

/**
 * Refuses a request target that is no path: an absolute form names a host of its own, which overrides the Host
 * header (RFC 9112 3.2.2), and no client of an origin server sends one.
 */
export function assertOriginForm(ctx: Context): void {
  if (ctx.req.url?.startsWith('/') === true) return;
  ctx.req.url = '/'; // nothing later trips over the target itself
  throw new AppError(
    'invalid_request',
    'Ask for a path, such as GET /jwks, with the host in the Host header.',
  );
}

/** Refuses what was sent to another host (421), or to two at once (400). Health checks come by address. */
export function createHostCheck(issuer: string, isDevelopment: boolean): (ctx: Context) => void {
  const { host, protocol } = new URL(issuer);
  const withPort = `${host}:${protocol === 'https:' ? 443 : 80}`;
  const isOurs = (given: string): boolean =>
    given === host || given === withPort || (isDevelopment && LOOPBACK_HOST.test(given));

  return (ctx) => {
    const given = (ctx.req.headers.host ?? '').toLowerCase();
    if (hasTwoHosts(ctx.req.rawHeaders)) throw new AppError('invalid_request', 'Send one Host header.');
    if (isOurs(given) || HEALTH_PATHS.has(ctx.path.replace(/\/$/, ''))) return;
    throw new AppError(
      'misdirected_request',
      `This server answers for ${host} only. Behind a proxy, pass the Host header on; if ${host} is wrong, set ISSUER.`,
    );
  };
}

function hasTwoHosts(rawHeaders: readonly string[]): boolean {
  let count = 0;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    if (rawHeaders[i]?.length === 4 && rawHeaders[i]?.toLowerCase() === 'host') count += 1;
  }
  return count > 1;
}

/** Writes the headers of every answer. They never change, so helmet makes them once, at the start. */
export function createSecurityHeaders(issuer: string): (ctx: Context) => void {
  const headers = headersByHelmet(issuer.startsWith('https:'));
  return (ctx) => {
    for (const [name, value] of headers) ctx.res.setHeader(name, value);
  };
}

function headersByHelmet(isHttps: boolean): readonly (readonly [string, string])[] {
  const written = new Map<string, string>();
  const recorder = {
    setHeader: (name: string, value: string | number) => written.set(name, String(value)),
    removeHeader: (name: string) => written.delete(name),
  };
  const write = helmet({
    contentSecurityPolicy: {
      useDefaults: false,
      directives: { defaultSrc: ["'none'"], frameAncestors: ["'none'"] },
    },
    strictTransportSecurity: isHttps ? { maxAge: ONE_YEAR_SECONDS, includeSubDomains: false } : false,
    referrerPolicy: { policy: 'no-referrer' },
    // The rest speaks of browsers that are gone, or says again what the policy above says; each costs every answer.
    crossOriginResourcePolicy: false,
    originAgentCluster: false,
    xDnsPrefetchControl: false,
    xDownloadOptions: false,
    xFrameOptions: false,
    xPermittedCrossDomainPolicies: false,
    xXssProtection: false,
  });
  // helmet uses nothing of a response but the two methods of the recorder.
  const response = recorder as unknown as ServerResponse;
  // It reads nothing of the request.
  write(undefined as unknown as IncomingMessage, response, () => undefined);
  return [...written];
}
