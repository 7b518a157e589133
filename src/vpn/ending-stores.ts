/**
 * The stores of accounts and clients, as whoever changes one gets them: what ends VPN JWTs goes into the feed, by
 * whatever way it comes (a page, the API, the command line, a file that is applied). Whether something ends them is
 * told by comparing what is stored with what takes its place.
 */
import type { Account, AccountStore, Client, ClientStore } from '../storage/port.ts';
import type { Revocations } from './revocations.ts';

interface AccountEndingOptions {
  readonly revocations: Pick<Revocations, 'ending'>;
  /** The role and level that the account has at VPN nodes, as one text. */
  readonly roleOf: (account: Account) => string;
}

interface ClientEndingOptions {
  readonly revocations: Pick<Revocations, 'ending'>;
  /** Ends the access tokens that a client got for itself. */
  readonly endTokens: (clientId: string) => Promise<void>;
  readonly now: () => number;
}

/** A person who is disabled, deleted, or has another role at VPN nodes. */
export function endingAccounts(
  accounts: AccountStore,
  { revocations, roleOf }: AccountEndingOptions,
): AccountStore {
  /** Of a disabled one again at each change: an earlier attempt may have failed in between. */
  const ends = (before: Account, after: Account): boolean =>
    after.status === 'disabled' || roleOf(before) !== roleOf(after);
  return {
    ...accounts,
    replace: async (account) => {
      const replace = (): Promise<boolean> => accounts.replace(account);
      const before = await accounts.find(account.id);
      if (before === null || !ends(before, account)) return replace();
      return revocations.ending({ kind: 'person', subject: before.username }, replace);
    },
    delete: async (id) => {
      const before = await accounts.find(id);
      if (before === null) return accounts.delete(id);
      return revocations.ending({ kind: 'person', subject: before.username }, () => accounts.delete(id));
    },
  };
}

/** A node that is deleted, or that loses a secret or a key before its end. */
export function endingClients(
  clients: ClientStore,
  { revocations, endTokens, now }: ClientEndingOptions,
): ClientStore {
  return {
    ...clients,
    replace: async (client) => {
      const { clientId } = client;
      const before = await clients.find(clientId);
      if (before?.isVpnNode !== true || !losesCredential(before, client, now())) {
        return clients.replace(client);
      }
      return revocations.ending({ kind: 'node', subject: clientId }, async () => {
        // Who had the credential may have used it: what came of it is worth a JWT each time. First of all, so that none is
        // left by a store that gives way after the change.
        await endTokens(clientId);
        const isReplaced = await clients.replace(client);
        if (isReplaced) await endTokens(clientId);
        return isReplaced;
      });
    },
    delete: async (clientId) => {
      const before = await clients.find(clientId);
      if (before?.isVpnNode !== true) return clients.delete(clientId);
      return revocations.ending({ kind: 'node', subject: clientId }, () => clients.delete(clientId));
    },
  };
}

/** One that a rotation lets go on for a while ends by itself, and is none that leaked. */
function losesCredential(before: Client, after: Client, now: number): boolean {
  const kept = liveCredentials(after, now);
  return liveCredentials(before, now).some((it) => !kept.includes(it));
}

const liveCredentials = ({ secrets, keys = [] }: Client, now: number): readonly string[] =>
  [
    ...secrets.map(({ hash, expiresAt }) => ({ id: hash, expiresAt })),
    ...keys.map(({ kid, expiresAt }) => ({ id: kid, expiresAt })),
  ]
    .filter(({ expiresAt }) => expiresAt === null || expiresAt > now)
    .map(({ id }) => id);
