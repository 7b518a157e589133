/** What is said of a customer, in the words of the store, of tokens, and of those who write it: pure. */
import { isDeepStrictEqual } from 'node:util';

import { toCustomerClaims } from '../sdk/customers/claims.ts';
import type { CustomerClaims, Tiers } from '../sdk/customers/claims.ts';
import { isCustomerError } from '../sdk/customers/errors.ts';
import type { CustomerFields as TokenFields } from '../sdk/customers/customer.ts';
import type { Customer } from '../storage/port.ts';
import type { CustomerChanges, CustomerInput } from './schema.ts';

/** A customer without what the store and the server add. */
export type StoredFields = Omit<Customer, 'series' | 'createdAt' | 'updatedAt' | 'version'>;

/** A customer as it is declared. `foldName` gives usernames as accounts have them. */
export const toStored = (input: CustomerInput, foldName: (name: string) => string): StoredFields => ({
  username: input.username,
  customerType: input.customer_type,
  email: input.email ?? null,
  company: input.company ?? null,
  subscriptionTier: input.subscription_tier ?? null,
  metadata: input.additional_metadata ?? {},
  account: typeof input.account === 'string' ? foldName(input.account) : null,
  clientId: input.client ?? null,
});

/** As it is declared, in the place of what is stored; what the changes do not name stays. */
export function toInput(current: StoredFields, changes: CustomerChanges): CustomerInput {
  const given = Object.fromEntries(Object.entries(changes).filter(([, value]) => value !== undefined));
  return { ...toWire(current), ...given, username: current.username };
}

/** In the words of apply files. */
export const toWire = (fields: StoredFields) => ({
  username: fields.username,
  customer_type: fields.customerType,
  email: fields.email,
  company: fields.company,
  subscription_tier: fields.subscriptionTier,
  additional_metadata: fields.metadata,
  account: fields.account,
  client: fields.clientId,
});

/** As a token says it: what it has not is left out. */
export const toTokenFields = (fields: StoredFields): TokenFields => ({
  username: fields.username,
  customerType: fields.customerType,
  email: fields.email ?? undefined,
  company: fields.company ?? undefined,
  subscriptionTier: fields.subscriptionTier ?? undefined,
  additionalMetadata: fields.metadata,
});

/** What tokens say of the customer; null where its type is none any more. */
export function claimsOf(fields: StoredFields, tiers: Tiers): CustomerClaims | null {
  try {
    return toCustomerClaims(toTokenFields(fields), tiers);
  } catch (error) {
    if (isCustomerError(error)) return null;
    throw error;
  }
}

/** Whether tokens would say something else of what the customer may do: all but how to reach it. */
export function saysOther(before: StoredFields, after: StoredFields, tiers: Tiers): boolean {
  const reached = { email: null, company: null };
  const [one, other] = [before, after].map((fields) => claimsOf({ ...fields, ...reached }, tiers));
  return !isDeepStrictEqual(one, other);
}

/** The fields in which two differ, in the words of apply files, before and after. */
export function differences(before: StoredFields, after: StoredFields) {
  const next: Readonly<Record<string, unknown>> = toWire(after);
  const changed = Object.entries(toWire(before)).filter(
    // The order of members is kept in a token, but is no change.
    ([name, value]) => !isDeepStrictEqual(value, next[name]),
  );
  const changes = changed.map(([name]) => name);
  return {
    changes,
    before: Object.fromEntries(changed),
    after: Object.fromEntries(changes.map((name) => [name, next[name]])),
  };
}
