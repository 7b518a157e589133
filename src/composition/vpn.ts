/**
 * VPN JWTs, put together: the exchange by both of its ways, and what the protocol engine needs to issue the same tokens
 * to people who sign in at a node. A part of the composition root.
 */
import type Router from 'koa-router';

import type { Config } from '../config.ts';
import type { Events } from '../events.ts';
import type { Sign } from '../keys/signer.ts';
import { vpnResourceOf } from '../names.ts';
import type { Engine } from '../oidc/provider.ts';
import type { VpnTokens } from '../oidc/vpn-tokens.ts';
import type { Storage } from '../storage/port.ts';
import { createVpnClaims, VPN_SCOPE } from '../vpn/claims.ts';
import { createVpnExchange } from '../vpn/exchange.ts';
import type { VpnExchange } from '../vpn/exchange.ts';
import { createVpnRoutes } from '../vpn/routes.ts';
import { createSettle } from '../vpn/settling.ts';
import { createStatusRoutes } from '../vpn/status-routes.ts';
import { createNodeRoutes } from './node-enrolment.ts';
import type { NodesRunning } from './node-enrolment.ts';
import type { VpnStatus } from './status-lists.ts';

interface VpnOptions {
  readonly config: Config;
  readonly storage: Pick<Storage, 'clients' | 'counters' | 'revocations'>;
  readonly events: Events;
  readonly now: () => number;
  /** Puts one JWT into the feed of those that ended early. */
  readonly endToken: VpnTokens['end'];
  readonly status: Pick<VpnStatus, 'place' | 'aggregationUri'>;
  /** The engine and the signer of the present key ring. */
  readonly current: () => { readonly engine: Engine; readonly sign: Sign };
}

export interface Vpn {
  readonly exchange: VpnExchange;
  readonly tokens: VpnTokens;
}

export function createVpn({ config, storage, events, endToken, status, now, current }: VpnOptions): Vpn {
  const { issuer, rateLimits } = config;
  const { audience, tokenLifetimeSeconds: lifetimeSeconds, roles, exchangesPerMinute } = config.vpn;
  const claims = createVpnClaims({ issuer, audience, lifetimeSeconds, roles, now });
  const settle = createSettle({ store: storage.revocations, now });
  return {
    exchange: createVpnExchange({
      claims,
      settle,
      place: status.place,
      lifetimeSeconds,
      maxPerMinute: rateLimits ? exchangesPerMinute : null,
      clients: storage.clients,
      counters: storage.counters,
      findClientToken: (value) => current().engine.findClientToken(value),
      findSubject: (...subject) => current().engine.findSubject(...subject),
      sign: (it) => current().sign({ ...it }),
      events,
      now,
    }),
    tokens: {
      resourceServer: {
        identifier: vpnResourceOf(issuer),
        audience,
        signingAlg: 'RS256',
        sealedSecret: null,
        scopes: [VPN_SCOPE],
        accessTokenLifetime: lifetimeSeconds,
        // The claims have them: see `vpn/claims.ts`.
        roles: {},
        defaultRole: null,
      },
      claimsOf: claims.ofPerson,
      issue: (clientId, read) =>
        settle(
          async (at) => status.place(claims.ofPerson(clientId, await read(), at)),
          ({ sub }) => [
            { kind: 'node', subject: clientId },
            { kind: 'person', subject: sub },
          ],
        ),
      statusLists: status.aggregationUri,
      onIssued: events.vpnTokenIssued,
      hasEnded: async ({ sub, client_id: clientId, iat }) => {
        const { find } = storage.revocations;
        const named = await Promise.all([find('person', sub, now()), find('node', clientId, now())]);
        return named.some((it) => it !== null && iat < it.issuedBefore);
      },
      end: endToken,
    },
  };
}

interface Running extends NodesRunning {
  readonly vpnExchange: VpnExchange;
  readonly statusLists: VpnStatus['lists'];
}

/** What VPN nodes ask for, but for the feed of what was revoked, of whatever answers when a request comes. */
export const createVpnRouters = (config: Config, running: () => Running): readonly Router[] => [
  createVpnRoutes((request) => running().vpnExchange.byBearer(request)),
  createNodeRoutes(config, running),
  createStatusRoutes({ lists: () => running().statusLists, isListed: config.vpn.hasStatusLists }),
];
