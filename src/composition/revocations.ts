/**
 * The feeds of what ended early, put together: what writes that of VPN JWTs, wherever tokens are ended; what nodes read of
 * it, and what gateways read of customers' tokens. A part of the composition roots of the server and of administration.
 */
import type Router from 'koa-router';

import type { Bell } from '../background.ts';
import type { Config } from '../config.ts';
import { createGatewayAdmission } from '../customers/admission.ts';
import type { Sign } from '../keys/signer.ts';
import { clientGrantId } from '../oidc/adapter.ts';
import type { Engine } from '../oidc/provider.ts';
import { createRevocationPages } from '../revocations/pages.ts';
import { createRevocationReading } from '../revocations/reading.ts';
import type { Admit, RevocationReading } from '../revocations/reading.ts';
import { createRevocationRoutes } from '../revocations/routes.ts';
import { createRevocationStreams } from '../revocations/streams.ts';
import type { RevocationStreams } from '../revocations/streams.ts';
import type { Account, RevocationKind, Storage } from '../storage/port.ts';
import { createNodeAdmission } from '../vpn/admission.ts';
import { createVpnClaims } from '../vpn/claims.ts';
import { endingAccounts, endingClients } from '../vpn/ending-stores.ts';
import { createRevocations } from '../vpn/revocations.ts';
import type { Revocations } from '../vpn/revocations.ts';

interface EndingOptions {
  readonly config: Pick<Config, 'issuer' | 'vpn'>;
  readonly storage: Storage;
  /** An entry was written. */
  readonly onAppended: () => void;
  readonly now: () => number;
}

/** What ends all sessions of an account; the id of one may go on. */
type EndAll = (accountId: string, exceptId: string | null) => Promise<void>;

export interface VpnEndings extends Revocations {
  /** The store, whose changes of people and nodes go into the feed. */
  readonly storage: Storage;
  /** Whatever ends all sessions of an account ends its VPN JWTs, too. */
  endAll(endAll: EndAll): EndAll;
}

export function createVpnEndings({ config, storage, onAppended, now }: EndingOptions): VpnEndings {
  const revocations = createRevocations({ store: storage.revocations, onAppended, now });
  const endTokens = (clientId: string): Promise<void> =>
    storage.artifacts.revokeGrant(clientGrantId(clientId));
  return {
    ...revocations,
    storage: {
      ...storage,
      accounts: endingAccounts(storage.accounts, { revocations, roleOf: createRoleOf(config) }),
      clients: endingClients(storage.clients, { revocations, endTokens, now }),
    },
    endAll: (endAll) => async (accountId, exceptId) => {
      const account = await storage.accounts.find(accountId);
      const work = (): Promise<void> => endAll(accountId, exceptId);
      // One that is gone had its entry when it went.
      await (account === null
        ? work()
        : revocations.ending({ kind: 'person', subject: account.username }, work));
    },
  };
}

/** The engine, whose end of all sessions goes into the feed. */
export const endingTokens = (engine: Engine, endings: Pick<VpnEndings, 'endAll'>): Engine => ({
  ...engine,
  sessions: { ...engine.sessions, endAll: endings.endAll(engine.sessions.endAll) },
});

/** As its VPN JWTs say it. */
function createRoleOf({ issuer, vpn }: EndingOptions['config']): (account: Account) => string {
  const { audience, roles, tokenLifetimeSeconds: lifetimeSeconds } = vpn;
  const { ofPerson } = createVpnClaims({ issuer, audience, lifetimeSeconds, roles, now: () => 0 });
  return (account) => {
    const { role, level } = ofPerson('', account);
    return `${role} ${level}`;
  };
}

/** One for each kind of reader. */
export interface Feeds<T> {
  readonly nodes: T;
  readonly gateways: T;
}

export interface RevocationFeed {
  readonly reading: RevocationReading;
  readonly streams: Pick<RevocationStreams, 'look' | 'end'>;
  /** Rings when there is something to send. */
  readonly bell: Bell;
}

interface FeedOptions {
  readonly config: Config;
  readonly storage: Pick<Storage, 'clients' | 'counters' | 'revocations'>;
  readonly bells: Feeds<Bell>;
  readonly now: () => number;
  /** The engine and the signers of the present key ring. */
  readonly current: () => { readonly engine: Engine; readonly signRevocations: Feeds<Sign> };
}

/** What the feeds differ in. */
interface FeedKind {
  readonly kinds: readonly RevocationKind[];
  readonly audience: string;
  readonly admit: Admit;
  /** Requests of one client. */
  readonly maxPerMinute: number;
  readonly maxOfClient: number;
}

export function createFeeds(options: FeedOptions): Feeds<RevocationFeed> {
  const { config, storage, current } = options;
  const findClientToken: Engine['findClientToken'] = (value) => current().engine.findClientToken(value);
  const { audience } = config.customers;
  const nodes: FeedKind = {
    kinds: ['token', 'person', 'node'],
    audience: config.vpn.audience,
    admit: createNodeAdmission({ ...storage, findClientToken }),
    // One that asks each second, and begins anew now and then.
    maxPerMinute: 180,
    // A node has one, and another one while it begins anew.
    maxOfClient: 4,
  };
  const gateways: FeedKind = {
    kinds: ['customer-token', 'customer'],
    audience,
    admit: createGatewayAdmission({ ...storage, audience, findClientToken }),
    // All gateways of an API are one client: some ten that ask each second, or a hundred that listen.
    maxPerMinute: 1_800,
    maxOfClient: 200,
  };
  return {
    nodes: createFeed('nodes', nodes, options),
    gateways: createFeed('gateways', gateways, options),
  };
}

function createFeed(
  of: keyof Feeds<unknown>,
  { kinds, audience, admit, maxPerMinute, maxOfClient }: FeedKind,
  { config, storage, bells, now, current }: FeedOptions,
): RevocationFeed {
  const { revocations: store, counters } = storage;
  const pages = createRevocationPages({
    ...{ store, kinds, issuer: config.issuer, audience, now },
    sign: (claims) => current().signRevocations[of]({ ...claims }),
  });
  const isClient = async (id: string): Promise<boolean> => (await storage.clients.find(id)) !== null;
  const streams = createRevocationStreams({ pages, maxOfClient, isClient, ring: bells[of].ring });
  const pace = { name: `revocations-${of}`, maxPerMinute: config.rateLimits ? maxPerMinute : null };
  const reading = createRevocationReading({ pages, streams, admit, ...pace, counters, now });
  return { reading, streams, bell: bells[of] };
}

/** Where they are read. */
export const createFeedRoutes = (feeds: () => Feeds<RevocationFeed>): readonly Router[] => [
  createRevocationRoutes('/vpn/revocations', () => feeds().nodes.reading),
  createRevocationRoutes('/gateway/revocations', () => feeds().gateways.reading),
];
