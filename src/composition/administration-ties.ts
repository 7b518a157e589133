/**
 * What ties a client to a service account or to a customer: that there is one, now or once the file is applied that
 * declares both.
 */
import { isServiceAccount } from '../accounts/server-role.ts';
import type { UserInput } from '../accounts/schema.ts';
import { CUSTOMER, SERVICE_ACCOUNT } from '../clients/ties.ts';
import type { ClientInput } from '../clients/schema.ts';
import type { CustomerInput } from '../customers/schema.ts';
import { AppError } from '../errors.ts';
import { foldName } from '../names.ts';
import type { Storage } from '../storage/port.ts';

type Tied = Pick<ClientInput, 'client_id' | typeof SERVICE_ACCOUNT | typeof CUSTOMER>;

/** What is declared beside the client. */
interface Beside {
  readonly users: readonly UserInput[];
  readonly customers: readonly CustomerInput[];
}

export type AssertTies = (client: Tied, beside?: Beside) => Promise<void>;

const ALONE: Beside = { users: [], customers: [] };

/** Throws `invalid_request` where a client would act for nobody, for a person, or for two customers. */
export const createAssertTies =
  (storage: Pick<Storage, 'accounts' | 'customers'>): AssertTies =>
  async (client, beside = ALONE) => {
    const { service_account: account, customer } = client;
    if (account !== undefined && !(await isAccount(account, beside, storage))) {
      throw refused(
        SERVICE_ACCOUNT,
        `there is no service account "${account}": make it by users create --role service_account`,
      );
    }
    if (customer === undefined) return;
    const isThere =
      beside.customers.some(({ username }) => username.toLowerCase() === customer.toLowerCase()) ||
      (await storage.customers.find(customer)) !== null;
    if (!isThere) {
      throw refused(CUSTOMER, `there is no customer "${customer}": make it by customers create`);
    }
    const holder = await storage.customers.findByClient(client.client_id);
    if (holder !== null && holder.username.toLowerCase() !== customer.toLowerCase()) {
      throw refused(CUSTOMER, `the customer "${holder.username}" is tied to this client`);
    }
  };

async function isAccount(
  username: string,
  { users }: Beside,
  { accounts }: Pick<Storage, 'accounts'>,
): Promise<boolean> {
  const declared = users.find((user) => foldName(user.username) === username);
  if (declared?.role !== undefined) return declared.role === 'service_account';
  const account = await accounts.findByUsername(username);
  return account !== null && isServiceAccount(account);
}

const refused = (path: string, message: string): AppError =>
  new AppError('invalid_request', `${path}: ${message}`, { errors: [{ path, message }] });
