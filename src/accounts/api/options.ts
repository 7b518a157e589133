/** What the routes of accounts are made of. */
import type { Visit } from '../../http/device.ts';
import type { Locale } from '../../i18n/locale.ts';
import type { FirstParty } from '../../oidc/first-party.ts';
import type { SessionView } from '../../oidc/sessions.ts';
import type { Account } from '../../storage/port.ts';
import type { Accounts } from '../accounts.ts';
import type { Credentials } from '../credentials.ts';
import type { Recovery } from '../recovery.ts';
import type { SignIn } from '../sign-in.ts';

export interface AccountApiOptions {
  readonly accounts: Pick<Accounts, 'find' | 'register' | 'registerConcealed' | 'setFullName'>;
  readonly credentials: Pick<Credentials, 'changePassword' | 'changeEmail' | 'changeEmailOfConfirmed'>;
  readonly recovery: Recovery;
  readonly signIn: SignIn;
  readonly tokens: Pick<FirstParty, 'signIn' | 'refresh'>;
  readonly sessions: {
    list(accountId: string): Promise<readonly SessionView[]>;
    end(accountId: string, id: string): Promise<boolean>;
    endAll(accountId: string, exceptId: string | null): Promise<void>;
  };
  /** Whether people may register, and learn nothing of who has an account already. */
  readonly registration: { readonly isEnabled: boolean; readonly conceals: boolean };
  /** Tells the person that another kind of device refreshed the tokens of a session. */
  readonly tellOtherDevice: (account: Account, visit: Visit, locale: Locale) => void;
  readonly now: () => number;
}
