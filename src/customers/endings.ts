/**
 * What ends tokens of customers before their time, in the feed that gateways follow, and what has ended by it. The entry
 * is there before the change is: a crash between them ends tokens that would have ended anyway, and the customer gets its
 * new series with the next token.
 */
import { AppError } from '../errors.ts';
import type { Customer, CustomerStore, Revocation, RevocationStore } from '../storage/port.ts';
import { expiryOf, newSeries, numberOf } from './series.ts';

/** The longest that the settings let any token live, and a little longer than the most patient clock. */
const LONGEST_SECONDS = 366 * 86_400;
const PATIENCE_SECONDS = 120;
// Each lost race means that another change was made, so a handful suffices for all that is not an attack.
const MAX_ATTEMPTS = 10;

type Named = Pick<Customer, 'username' | 'series'>;

export interface Endings {
  /** Ends all that was issued until now; gives the series that the change has to save. */
  endAll(customer: Named): Promise<string>;
  /** Ends one token. */
  endToken(jti: string): Promise<void>;
  /** Whether a token ended, by itself or with all of its customer. */
  hasEnded(token: { readonly sub: string; readonly jti: string }): Promise<boolean>;
  /**
   * The customer with a series that has not ended: whoever ended it may not have come to give it another one, or it is of
   * a customer of that name who was deleted in this second.
   */
  settled(customer: Customer): Promise<Customer>;
}

export interface EndingsOptions {
  readonly customers: Pick<CustomerStore, 'find' | 'replace'>;
  readonly revocations: Pick<RevocationStore, 'append' | 'find'>;
  /** An entry is there. */
  readonly onAppended: () => void;
  readonly now: () => number;
}

export function createEndings({ customers, revocations, onAppended, now }: EndingsOptions): Endings {
  const append = async (revocation: Revocation): Promise<void> => {
    await revocations.append(revocation, now());
    onAppended();
  };
  /** Whatever is of a lower series has ended. */
  const endedBefore = async (username: string): Promise<number> =>
    (await revocations.find('customer', username, now()))?.issuedBefore ?? 0;

  return {
    endAll: async ({ username, series }) => {
      const number = 1 + Math.max(now(), numberOf(series), await endedBefore(username));
      const expiresAt = now() + LONGEST_SECONDS + PATIENCE_SECONDS;
      await append({ kind: 'customer', subject: username, issuedBefore: number, expiresAt });
      return newSeries(number);
    },
    endToken: async (jti) => {
      const latest = now() + LONGEST_SECONDS;
      const exp = Math.min(expiryOf(jti) ?? latest, latest);
      const expiresAt = exp + PATIENCE_SECONDS;
      await append({ kind: 'customer-token', subject: jti, issuedBefore: exp, expiresAt });
    },
    hasEnded: async ({ sub, jti }) => {
      const [before, ended] = await Promise.all([
        endedBefore(sub),
        revocations.find('customer-token', jti, now()),
      ]);
      return numberOf(jti) < before || ended !== null;
    },
    settled: async (customer) => {
      const find = (): Promise<Customer | null> => customers.find(customer.username);
      const seriesOf = async ({ username, series }: Named): Promise<string> => {
        const before = await endedBefore(username);
        return numberOf(series) < before ? newSeries(before) : series;
      };
      return (await seriesOf(customer)) === customer.series
        ? customer
        : renew(find, customers, seriesOf, now);
    },
  };
}

/** Gives the customer that series, whatever else is changed meanwhile. Throws `not_found`, and `conflict` in the end. */
export async function renew(
  find: () => Promise<Customer | null>,
  customers: Pick<CustomerStore, 'replace'>,
  seriesOf: (current: Customer) => Promise<string>,
  now: () => number,
): Promise<Customer> {
  for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt += 1) {
    const current = await find();
    if (current === null) throw new AppError('not_found', 'It was deleted meanwhile.');
    const series = await seriesOf(current);
    if (series === current.series) return current;
    const next = { ...current, series, updatedAt: now(), version: current.version + 1 };
    if (await customers.replace(next)) return next;
  }
  throw new AppError('conflict', 'The customer kept changing: try again.');
}
