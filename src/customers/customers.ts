/**
 * Customers: API consumers, whose tokens carry what a gateway needs to know of them. What is said of one is checked and
 * measured when it is saved; each change is recorded before it is made, and what it ends is told before that, too.
 */
import type { Recorder } from '../audit/entry.ts';
import { AppError } from '../errors.ts';
import type { Customer, CustomerFilter, CustomerStore, Page, PageRequest } from '../storage/port.ts';
import { renew } from './endings.ts';
import type { Endings } from './endings.ts';
import { differences, saysOther, toInput, toStored, toWire } from './fields.ts';
import type { StoredFields } from './fields.ts';
import { ALONE, assertGood } from './rules.ts';
import type { CustomerRules, Ties, Together } from './rules.ts';
import type { CustomerChanges, CustomerInput } from './schema.ts';
import { newSeries } from './series.ts';

export interface CustomersOptions {
  readonly customers: CustomerStore;
  readonly rules: CustomerRules;
  readonly ties: Ties;
  /** Usernames as accounts have them. */
  readonly foldName: (name: string) => string;
  readonly endings: Pick<Endings, 'endAll'>;
  /** Whether a change of what a customer may do ends the tokens from before it. */
  readonly revokesOnChange: boolean;
  readonly now: () => number;
}

/** What saving an input would do. */
export interface CustomerPlan {
  readonly action: 'create' | 'update' | 'none';
  readonly changes: readonly string[];
  /** It is tied to what another customer of the same file is tied to yet. */
  readonly takes: boolean;
  save(): Promise<Customer>;
}

/** Customers as one actor administers them; each names one in any case of its username. */
export interface CustomerAdministration {
  list(page: PageRequest, filter?: CustomerFilter): Promise<Page<Customer>>;
  /** Throws `not_found`, as what follows does. */
  get(username: string): Promise<Customer>;
  /** Throws `conflict` for a name or a tie that is taken, `invalid_request` with each fault. */
  create(input: CustomerInput): Promise<Customer>;
  /** Keeps what the changes do not name. */
  update(username: string, changes: CustomerChanges): Promise<Customer>;
  /** Its tokens are over, wherever somebody asks. */
  delete(username: string): Promise<Customer>;
  /** Plans one customer of an apply file, whose declaration is all that is said of it. */
  plan(input: CustomerInput, together: Together): Promise<CustomerPlan>;
  /** Ends every token that the customer was given until now. */
  revokeTokens(username: string): Promise<void>;
}

/** Makes the slice; `as` gives it to who is recorded by `record`. */
export function createCustomers(options: CustomersOptions) {
  return { as: (record: Recorder): CustomerAdministration => administer(options, record) };
}

function administer(options: CustomersOptions, record: Recorder): CustomerAdministration {
  const { customers, rules, ties, foldName, endings } = options;
  const get = async (username: string): Promise<Customer> => {
    const customer = await customers.find(username);
    if (customer !== null) return customer;
    throw new AppError('not_found', `There is no customer "${username}".`);
  };
  const settle = async (input: CustomerInput, together = ALONE): Promise<StoredFields> => {
    const fields = toStored(input, foldName);
    await assertGood(fields, rules, ties, together);
    return fields;
  };
  const insert = (fields: StoredFields): Promise<Customer> => insertRecorded(fields, options, record);
  const change = (current: Customer, fields: StoredFields): Promise<Customer> =>
    replaceRecorded(current, { ...fields, username: current.username }, options, record);

  return {
    list: customers.list,
    get,
    create: async (input) => {
      const fields = await settle(input);
      if ((await customers.find(fields.username)) !== null) throw taken(fields.username);
      return insert(fields);
    },
    update: async (username, changes) => {
      const current = await get(username);
      return change(current, await settle(toInput(current, changes)));
    },
    delete: async (username) => {
      const customer = await get(username);
      const details = { before: toWire(customer), after: null };
      await record({ action: 'customer.delete', target: targetOf(customer), details }, async () => {
        await endings.endAll(customer);
        if (!(await customers.delete(username))) throw new AppError('not_found', 'It was deleted meanwhile.');
        await endings.endAll(customer); // one that was issued in between has a series of its own
      });
      return customer;
    },
    plan: async (input, together) => {
      const fields = await settle(input, together);
      const takes = await takesTie(fields, customers, together);
      const current = await customers.find(fields.username);
      if (current === null) return { action: 'create', changes: [], takes, save: () => insert(fields) };
      const { changes } = differences(current, { ...fields, username: current.username });
      return changes.length === 0
        ? { action: 'none', changes, takes, save: async () => current }
        : { action: 'update', changes, takes, save: () => change(current, fields) };
    },
    revokeTokens: (username) => revokeAll(() => get(username), options, record),
  };
}

/** Throws `conflict` where another customer is tied to the same and is not declared beside it. */
async function takesTie(
  { username, account, clientId }: StoredFields,
  customers: Pick<CustomerStore, 'findByAccount' | 'findByClient'>,
  together: Together,
): Promise<boolean> {
  const holder =
    (account && (await customers.findByAccount(account))) ??
    (clientId && (await customers.findByClient(clientId)));
  if (!holder || holder.username.toLowerCase() === username.toLowerCase()) return false;
  if (together.customers.includes(holder.username.toLowerCase())) return true;
  const path = account === null ? 'client' : 'account';
  const message = `the customer "${holder.username}" is tied to it`;
  throw new AppError('conflict', `${path}: ${message}`, { errors: [{ path, message }] });
}

const taken = (username: string): AppError => {
  const message = `There is a customer "${username}" already.`;
  return new AppError('conflict', message, { errors: [{ path: 'username', message }] });
};

export const targetOf = ({ username }: Pick<Customer, 'username'>): string => `customer:${username}`;

async function insertRecorded(
  fields: StoredFields,
  { customers, now }: CustomersOptions,
  record: Recorder,
): Promise<Customer> {
  const at = now();
  const customer = { ...fields, series: newSeries(at), createdAt: at, updatedAt: at, version: 1 };
  const details = { before: null, after: toWire(customer) };
  await record({ action: 'customer.create', target: targetOf(customer), details }, () =>
    customers.create(customer),
  );
  return customer;
}

async function replaceRecorded(
  current: Customer,
  fields: StoredFields,
  { customers, rules, endings, revokesOnChange, now }: CustomersOptions,
  record: Recorder,
): Promise<Customer> {
  const { changes, before, after } = differences(current, fields);
  if (changes.length === 0) return current;
  const ends = revokesOnChange && saysOther(current, fields, rules.tiers);
  const change = { action: 'customer.update', target: targetOf(current), details: { before, after } };
  return record(change, async () => {
    const series = ends ? await endings.endAll(current) : current.series;
    const next = { ...current, ...fields, series, updatedAt: now(), version: current.version + 1 };
    if (await customers.replace(next)) return next;
    throw new AppError('conflict', 'The customer changed meanwhile: read it, and try again.');
  });
}

async function revokeAll(
  get: () => Promise<Customer>,
  { customers, endings, now }: CustomersOptions,
  record: Recorder,
): Promise<void> {
  const target = targetOf(await get());
  await record({ action: 'customer.revoke_tokens', target, details: {} }, () =>
    renew(get, customers, endings.endAll, now),
  );
}
