/** What is said of something that happened or is about to: who, what, to whom, from where. */
import type { Details } from './details.ts';

/** Who does something, and by which request. */
export interface Actor {
  /** `account:ID`, `client:ID`, `cli`, `server`, or `anonymous`. */
  readonly actor: string;
  readonly ip: string | null;
  readonly requestId: string | null;
}

export interface AuditEntry {
  readonly by: Actor;
  /** A noun and a verb, such as `account.unlock`. */
  readonly action: string;
  /** Such as `account:ID`; null where there is none. */
  readonly target: string | null;
  readonly details: Details;
}

/** The server by itself. */
export const SERVER: Actor = { actor: 'server', ip: null, requestId: null };

export const accountOf = (accountId: string): string => `account:${accountId}`;

/** A change as its slice tells it: who makes it is known to whoever hands out the recorder. */
export type Change = Omit<AuditEntry, 'by'>;

/** Records what `work` is about to do, then does it (see `Audit.as`). */
export type Recorder = <T>(change: Change, work: () => Promise<T>) => Promise<T>;
