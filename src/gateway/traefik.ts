/** Traefik: its middleware `forwardAuth` asks. A file of the file provider; where it listens is said elsewhere. */
import { about, IDENTITY_HEADERS, urlOf, verifyPath } from './guarded.ts';
import type { Guarded } from './guarded.ts';
import { toYaml } from './yaml.ts';

const ABOUT = `${about('Traefik')}\nIt is a file of the file provider of Traefik 3: --providers.file.filename=traefik.yaml`;

/** Writes it. */
export function toTraefik(guarded: Guarded): string {
  const router = { rule: 'PathPrefix(`/`)', middlewares: ['customers'], service: 'api' };
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
      middlewares: { customers: { forwardAuth } },
      services: {
        api: { loadBalancer: { passHostHeader: false, servers: [{ url: urlOf(guarded.upstream) }] } },
      },
    },
  });
}
