/** Which events are counted by the hour, and as what. */
import type { AccountEvents } from '../accounts/events.ts';
import type { Statistics } from './statistics.ts';

/** The series that the figures of administrators are made of. */
export const SERIES = {
  signIn: 'sign_in',
  signInRefused: 'sign_in_refused',
  locked: 'locked',
  registered: 'registered',
  /** By the grant type. */
  token: 'token',
  /** By the client id. */
  client: 'client',
} as const;

type Counted = Pick<AccountEvents, 'signedIn' | 'signInRefused' | 'accountLocked' | 'accountRegistered'> & {
  tokenIssued(event: { readonly clientId: string; readonly grantType: string }): void;
  vpnTokenIssued(event: { readonly clientId: string; readonly grantType: string | null }): void;
};

export function createStatisticsListener({ count }: Pick<Statistics, 'count'>): Counted {
  const token = (grantType: string, clientId: string): void => {
    count(SERIES.token, grantType);
    count(SERIES.client, clientId);
  };
  return {
    signedIn: () => count(SERIES.signIn),
    signInRefused: () => count(SERIES.signInRefused),
    accountLocked: () => count(SERIES.locked),
    accountRegistered: () => count(SERIES.registered),
    tokenIssued: ({ grantType, clientId }) => token(grantType, clientId),
    vpnTokenIssued: ({ clientId, grantType }) => {
      if (grantType === null) token('vpn', clientId); // the others are counted by their grant
    },
  };
}
