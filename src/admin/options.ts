/** What the routes of the admin API are made of, and who calls them. */
import type { Caller } from '../api/caller.ts';
import type { Cursors, List } from '../api/cursor.ts';
import type { UserAdministration } from '../composition/administration-users.ts';
import type { Locale } from '../i18n/locale.ts';
import type { SessionView } from '../oidc/sessions.ts';
import type { Figures } from '../statistics/figures.ts';
import type { AuditFilter, AuditRecord, Page, PageRequest } from '../storage/port.ts';

/** The request of an administrator, as far as its record tells it. */
export interface Asking {
  readonly caller: Caller;
  readonly visit: { readonly ip: string };
  readonly requestId: string;
}

/** How many there are now. */
export interface Totals {
  readonly users: readonly {
    readonly role: string | null;
    readonly status: 'active' | 'disabled';
    readonly count: number;
  }[];
  readonly lockedUsers: number;
  readonly sessions: number;
  readonly apiKeys: number;
}

export interface AdminApiOptions {
  /** The users, whose changes are recorded as those of who asks; they are named by id. */
  readonly usersFor: (asking: Asking) => UserAdministration;
  /** Mails the user a link to set a new password. Throws `conflict` for one who may not sign in. */
  readonly mailResetLink: (asking: Asking, userId: string, locale: Locale) => Promise<void>;
  readonly listSessions: (userId: string) => Promise<readonly SessionView[]>;
  readonly count: () => Promise<Totals>;
  readonly figures: (hours: number) => Promise<Figures>;
  readonly listAudit: (
    page: PageRequest,
    filter: AuditFilter,
    order: 'newest' | 'oldest',
  ) => Promise<Page<AuditRecord>>;
  readonly cursors: Cursors;
}

/** Who asks, as in the audit log. */
export const actorOf = (caller: Caller): string =>
  caller.kind === 'client' ? `client:${caller.clientId}` : `account:${caller.account.id}`;

/** A list as it was filtered: a cursor of another filter would skip what nobody saw. */
export const listOf = (name: string, { caller }: Asking, filter: object): List => ({
  name: `${name} ${JSON.stringify(Object.entries(filter).sort())}`,
  callerId: actorOf(caller),
});
