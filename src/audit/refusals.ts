/**
 * Refused sign-ins, counted before they are recorded: anybody can cause as many as they like, and a record each would
 * let a stranger fill the log and slow everybody who waits for it. So the log has one record an interval for each
 * account and reason, and one for all that are too many to be told apart. A lock has a record of its own.
 */
import type { SignInRefusal } from '../accounts/events.ts';
import { accountOf } from './entry.ts';
import type { AuditEntry } from './entry.ts';

/** Accounts and reasons that are told apart in one interval. */
const MAX_SUBJECTS = 20;
/** Addresses that a record names. */
const MAX_ADDRESSES = 5;
/** No subject is called so: each begins with its reason and a space. */
const REST = 'rest';

export interface Refused {
  /** Null where the name that was tried is nobody's. */
  readonly accountId: string | null;
  readonly ip: string;
  readonly reason: SignInRefusal;
}

interface Counted {
  readonly target: string | null;
  readonly reason: SignInRefusal | 'several';
  readonly addresses: Set<string>;
  count: number;
}

export interface RefusalCounts {
  add(refused: Refused): void;
  /** What was counted since the last time, as entries. */
  take(): readonly AuditEntry[];
}

export function createRefusalCounts(): RefusalCounts {
  let subjects = new Map<string, Counted>();

  const find = ({ accountId, reason }: Refused): Counted => {
    const key = `${reason} ${accountId ?? ''}`;
    const known = subjects.get(key);
    if (known !== undefined) return known;
    const isRest = subjects.size >= MAX_SUBJECTS;
    const rest = isRest ? subjects.get(REST) : undefined;
    if (rest !== undefined) return rest;
    const target = accountId === null || isRest ? null : accountOf(accountId);
    const counted = {
      target,
      reason: isRest ? ('several' as const) : reason,
      addresses: new Set<string>(),
      count: 0,
    };
    subjects.set(isRest ? REST : key, counted);
    return counted;
  };

  return {
    add: (refused) => {
      const counted = find(refused);
      counted.count += 1;
      if (counted.addresses.size < MAX_ADDRESSES) counted.addresses.add(refused.ip);
    },
    take: () => {
      const entries = [...subjects.values()].map(toEntry);
      subjects = new Map();
      return entries;
    },
  };
}

const toEntry = ({ target, reason, addresses, count }: Counted): AuditEntry => {
  const [ip = null, ...others] = addresses;
  return {
    by: { actor: 'anonymous', ip, requestId: null },
    action: 'account.sign_in_refused',
    target,
    details: { reason, count, ...(others.length > 0 && { other_addresses: others }) },
  };
};
