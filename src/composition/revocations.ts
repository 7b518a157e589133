/**
 * The revocation feed of VPN JWTs, put together: what writes it, wherever tokens are ended, and what nodes read. A part
 * of the composition roots of the server and of administration.
 */

import type { Bell } from '../background.ts';
import type { Config } from '../config.ts';
import type { Sign } from '../keys/signer.ts';
import { clientGrantId } from '../oidc/adapter.ts';
import type { Engine } from '../oidc/provider.ts';
import type { Account, Storage } from '../storage/port.ts';
import { createVpnClaims } from '../vpn/claims.ts';
import { endingAccounts, endingClients } from '../vpn/ending-stores.ts';
import { createRevocationPages } from '../vpn/revocation-pages.ts';
import { createRevocationReading } from '../vpn/revocation-reading.ts';
import type { RevocationReading } from '../vpn/revocation-reading.ts';
import { createRevocationStreams } from '../vpn/revocation-streams.ts';
import type { RevocationStreams } from '../vpn/revocation-streams.ts';
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

interface FeedOptions {
  readonly config: Config;
  readonly storage: Pick<Storage, 'clients' | 'counters' | 'revocations'>;
  readonly bell: Bell;
  readonly now: () => number;
  /** The engine and the signer of the present key ring. */
  readonly current: () => { readonly engine: Engine; readonly signRevocations: Sign };
}

export interface VpnFeed {
  readonly reading: RevocationReading;
  readonly streams: Pick<RevocationStreams, 'look' | 'end'>;
  /** Rings when there is something to send. */
  readonly bell: Bell;
}

export function createVpnFeed({ config, storage, bell, now, current }: FeedOptions): VpnFeed {
  const { issuer, vpn, rateLimits: isLimited } = config;
  const pages = createRevocationPages({
    ...{ store: storage.revocations, issuer, audience: vpn.audience, now },
    sign: (claims) => current().signRevocations({ ...claims }),
  });
  const streams = createRevocationStreams({ pages, ring: bell.ring });
  const findClientToken: Engine['findClientToken'] = (value) => current().engine.findClientToken(value);
  return {
    reading: createRevocationReading({ ...storage, pages, streams, isLimited, findClientToken, now }),
    streams,
    bell,
  };
}
