/** The customers' part of administration: the slice as the command line speaks to it. */
import type { Recorder } from '../audit/entry.ts';
import type { Config } from '../config.ts';
import { openCustomers } from './customers.ts';
import { CustomerChanges, CustomerInput, parseCustomer, toView } from '../customers/schema.ts';
import type { CustomerView } from '../customers/schema.ts';
import type { CustomerFilter, Page, PageRequest, Storage } from '../storage/port.ts';

export type { CustomerView } from '../customers/schema.ts';

export interface CustomerAdministrationByName {
  list(page: PageRequest, filter?: CustomerFilter): Promise<Page<CustomerView>>;
  show(username: string): Promise<CustomerView>;
  /** Fields as apply files have them; refused with each fault. */
  create(fields: object): Promise<CustomerView>;
  /** Keeps what `fields` does not name. */
  update(username: string, fields: object): Promise<CustomerView>;
  /** Gives the username as it was written. */
  delete(username: string): Promise<string>;
  /** Ends every token that the customer was given until now. */
  revokeTokens(username: string): Promise<void>;
}

interface Options {
  readonly config: Config;
  readonly storage: Storage;
  readonly record: Recorder;
  readonly now: () => number;
}

/** On the store itself, so also while no server runs. */
export function createCustomerAdministration({ record, ...parts }: Options): CustomerAdministrationByName {
  const customers = openCustomers(parts).as(record);
  const { tiers } = parts.config.customers;
  return {
    list: async (page, filter) => {
      const { items, next } = await customers.list(page, filter);
      return { items: items.map((customer) => toView(customer, tiers)), next };
    },
    show: async (username) => toView(await customers.get(username), tiers),
    create: async (fields) => toView(await customers.create(parseCustomer(CustomerInput, fields)), tiers),
    update: async (username, fields) =>
      toView(await customers.update(username, parseCustomer(CustomerChanges, fields)), tiers),
    delete: async (username) => (await customers.delete(username)).username,
    revokeTokens: customers.revokeTokens,
  };
}
