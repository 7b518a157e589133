/** What ties a client to a service account: that there is one, now or once the file is applied that declares both. */
import { isServiceAccount } from '../accounts/server-role.ts';
import type { UserInput } from '../accounts/schema.ts';
import { SERVICE_ACCOUNT } from '../clients/service-account.ts';
import type { ClientInput } from '../clients/schema.ts';
import { AppError } from '../errors.ts';
import { foldName } from '../names.ts';
import type { AccountStore } from '../storage/port.ts';

export type AssertServiceAccount = (
  client: Pick<ClientInput, typeof SERVICE_ACCOUNT>,
  together?: readonly UserInput[],
) => Promise<void>;

/** Throws `invalid_request` where a client would act for nobody, or for a person. */
export const createAssertServiceAccount =
  (accounts: Pick<AccountStore, 'findByUsername'>): AssertServiceAccount =>
  async ({ service_account: username }, together = []) => {
    if (username === undefined) return;
    const declared = together.find((user) => foldName(user.username) === username);
    const account = await accounts.findByUsername(username);
    const isOne =
      declared?.role === undefined
        ? account !== null && isServiceAccount(account)
        : declared.role === 'service_account';
    if (isOne) return;
    const message = `there is no service account "${username}": make it by users create --role service_account`;
    throw new AppError('invalid_request', `${SERVICE_ACCOUNT}: ${message}`, {
      errors: [{ path: SERVICE_ACCOUNT, message }],
    });
  };
