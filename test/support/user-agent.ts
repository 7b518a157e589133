/** A browser without a screen: cookies with their paths and ends, and redirects that are followed one by one. */
import { fetchAs } from './fetch-as.ts';

const MAX_REDIRECTS = 20;

interface Cookie {
  readonly name: string;
  readonly value: string;
  readonly path: string;
}

export interface UserAgent {
  /** One request, no redirect followed; `url` is a path or an address under the issuer. */
  send(url: string, init?: RequestInit): Promise<Response>;
  /** Follows redirects on the server; gives the last answer, and the address outside to which it led, if any. */
  open(url: string, init?: RequestInit): Promise<{ answer: Response; left: URL | null; path: string }>;
  /** The Set-Cookie lines so far. */
  readonly written: readonly string[];
  cookie(name: string): string | undefined;
  /** As it is now, here or at another instance: what the other one does from here on is not seen. */
  copy(at?: string): UserAgent;
}

/** A browser at a server that listens at `origin` and is known as `issuer`. */
export function createUserAgent(issuer: string, origin: string, jar = new Map<string, Cookie>()): UserAgent {
  const written: string[] = [];
  const send = async (url: string, init: RequestInit = {}): Promise<Response> => {
    const { pathname, search } = new URL(url, issuer);
    const cookies = [...jar.values()].filter(({ path }) => isUnder(pathname, path));
    const headers = new Headers(init.headers);
    // A browser says so of a form on the server's own pages.
    if (init.method === 'POST') headers.set('Sec-Fetch-Site', 'same-origin');
    if (cookies.length > 0)
      headers.set('Cookie', cookies.map(({ name, value }) => `${name}=${value}`).join('; '));
    const answer = await fetchAs(issuer, origin + pathname + search, { ...init, headers });
    for (const line of answer.headers.getSetCookie()) {
      written.push(line);
      store(jar, line);
    }
    return answer;
  };

  return {
    send,
    written,
    cookie: (name) => [...jar.values()].find((cookie) => cookie.name === name)?.value,
    copy: (at = origin) => createUserAgent(issuer, at, new Map(jar)),
    open: async (url, init) => {
      let path = url;
      let answer = await send(url, init);
      for (let redirects = 0; redirects < MAX_REDIRECTS; redirects += 1) {
        const location = answer.headers.get('Location');
        if (location === null) return { answer, left: null, path };
        const next = new URL(location, issuer);
        if (next.origin !== issuer) return { answer, left: next, path };
        path = next.pathname;
        answer = await send(next.href);
      }
      throw new Error(`more than ${MAX_REDIRECTS} redirects from ${url}`);
    },
  };
}

const isUnder = (pathname: string, path: string): boolean =>
  path === '/' || pathname === path || pathname.startsWith(`${path}/`);

function store(jar: Map<string, Cookie>, line: string): void {
  const [pair = '', ...attributes] = line.split(/; ?/);
  const [name, value] = [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)];
  const find = (attribute: string): string | undefined =>
    attributes.find((one) => one.toLowerCase().startsWith(`${attribute}=`))?.slice(attribute.length + 1);
  const path = find('path') ?? '/';
  const expires = find('expires');
  const key = `${name} ${path}`;
  if (value === '' || (expires !== undefined && Date.parse(expires) <= Date.now())) jar.delete(key);
  else jar.set(key, { name, value, path });
}
