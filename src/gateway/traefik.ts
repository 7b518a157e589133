/** Traefik: its middleware `forwardAuth` asks. A file of the file provider; where it listens is said elsewhere. */
import { about, IDENTITY_HEADERS, urlOf, verifyPath } from './guarded.ts';
import type { Guarded } from './guarded.ts';
import { toYaml } from './yaml.ts';

const ABOUT = `${about('Traefik')}\nIt is a file of the file provider of Traefik 3: --providers.file.filename=traefik.yaml`;

/** Some back ends take X_Auth_Role, or X.Auth.Role, for X-Auth-Role. An empty value takes the header away. */
const FORGED = Object.fromEntries(
  IDENTITY_HEADERS.flatMap((name) => spellings(name.split('-')))
    .filter((name) => /[_.]/.test(name))
    .map((name) => [name, '']),
);

function spellings([first = '', ...rest]: readonly string[]): readonly string[] {
  if (rest.length === 0) return [first];
  return spellings(rest).flatMap((end) => ['-', '_', '.'].map((between) => first + between + end));
}

/** Writes it. */
export function toTraefik(guarded: Guarded): string {
  const router = { rule: 'PathPrefix(`/`)', middlewares: ['forged', 'customers'], service: 'api' };
  const forwardAuth = {
    address: urlOf(guarded.issuer) + verifyPath(guarded),
    trustForwardHeader: false,
    authRequestHeaders: ['Authorization'],
    // Traefik takes away what the caller wrote in the place of each.
    authResponseHeaders: IDENTITY_HEADERS,
  };
  return toYaml(ABOUT, {
    http: {
      routers: { api: router },
      middlewares: { forged: { headers: { customRequestHeaders: FORGED } }, customers: { forwardAuth } },
      services: {
        api: { loadBalancer: { passHostHeader: false, servers: [{ url: urlOf(guarded.upstream) }] } },
      },
    },
  });
}
