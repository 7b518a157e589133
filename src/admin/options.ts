/** What the routes of the admin API are made of. */
import type { Asking } from '../api/caller.ts';
import type { Cursors } from '../api/cursor.ts';
import type { UserAdministration } from '../composition/administration-users.ts';
import type { Locale } from '../i18n/locale.ts';
import type { SessionView } from '../oidc/sessions.ts';
import type { Figures } from '../statistics/figures.ts';
import type { AuditFilter, AuditRecord, Page, PageRequest } from '../storage/port.ts';

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

/** How every request of the admin API is told in the document, and who may make it. */
export const FOR_ADMINISTRATORS = { tag: 'Administration', access: { role: 'admin' } } as const;
