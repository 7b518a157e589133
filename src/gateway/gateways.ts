/** The gateways that a configuration can be written for. */
import { toApisix } from './apisix.ts';
import { toEnvoy } from './envoy.ts';
import type { Guarded } from './guarded.ts';
import { toKong } from './kong.ts';
import { toNginx } from './nginx.ts';
import { toTraefik } from './traefik.ts';

interface Gateway {
  readonly write: (guarded: Guarded) => string;
  /** Where else it is said what the gateway listens on; null: in what is written. */
  readonly listensBy: string | null;
}

export const GATEWAYS: Readonly<Record<string, Gateway>> = {
  nginx: { write: toNginx, listensBy: null },
  envoy: { write: toEnvoy, listensBy: null },
  apisix: { write: toApisix, listensBy: 'apisix.node_listen of its conf/config.yaml' },
  kong: { write: toKong, listensBy: 'KONG_PROXY_LISTEN' },
  traefik: { write: toTraefik, listensBy: '--entryPoints.web.address' },
};
