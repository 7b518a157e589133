/**
 * Enrolment of VPN nodes, put together: what is checked of a request, what becomes of the node in the store, and whose
 * change the record says it is. A part of the composition root.
 */
import type Router from 'koa-router';

import type { Audit } from '../audit/audit.ts';
import { createEnrolmentRegistry } from '../clients/enrolment.ts';
import type { Config } from '../config.ts';
import type { Events } from '../events.ts';
import type { RateLimits } from '../http/rate-limit.ts';
import { artifactId } from '../oidc/digest.ts';
import type { Storage } from '../storage/port.ts';
import { createNodeEnrolment } from '../vpn/enrolment.ts';
import type { NodeEnrolment } from '../vpn/enrolment.ts';
import { createEnrolmentRoutes } from '../vpn/enrolment-routes.ts';

interface EnrolmentParts {
  readonly config: Pick<Config, 'issuer' | 'vpn'>;
  readonly storage: Pick<Storage, 'clients' | 'artifacts'>;
  readonly ledger: { readonly audit: Pick<Audit, 'as'> };
  readonly events: Events;
  readonly now: () => number;
}

/** An artifact of its own kind, so that no id of the engine's is ever the same. */
const REQUEST = 'NodeKeyRequest';

export const openNodeEnrolment = ({ config, storage, ledger, events, now }: EnrolmentParts): NodeEnrolment =>
  createNodeEnrolment({
    issuer: config.issuer,
    overlapSeconds: config.vpn.keyOverlapSeconds,
    keysFor: (clientId, asking) =>
      createEnrolmentRegistry({
        clients: storage.clients,
        record: ledger.audit.as({ actor: `client:${clientId}`, ...asking }),
        now,
      }),
    useOnce: (jti, expiresAt) => {
      const request = { model: REQUEST, id: artifactId(REQUEST, jti), payload: {}, expiresAt };
      return storage.artifacts.insert(request, now());
    },
    events,
    now,
  });

export interface NodesRunning {
  readonly nodeEnrolment: NodeEnrolment;
  readonly limits: RateLimits;
}

/** The routes, to whatever answers when a request comes. */
export const createNodeRoutes = (config: Config, running: () => NodesRunning): Router =>
  createEnrolmentRoutes({
    enrolment: () => running().nodeEnrolment,
    limits: () => running().limits,
    server: serverOfNodes(config),
  });

/** What a node needs to know of the server, beside its own name. */
const serverOfNodes = ({ issuer, vpn }: Config): Readonly<Record<string, string>> => ({
  issuer,
  audience: vpn.audience,
  token_endpoint: `${issuer}/token`,
  vpn_auth_endpoint: `${issuer}/vpn/auth`,
  vpn_keys_endpoint: `${issuer}/vpn/keys`,
  jwks_uri: `${issuer}/jwks`,
});
