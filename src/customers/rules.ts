/** What must hold of a customer before it is saved, beside the form of its fields: every fault at once. */
import { AppError } from '../errors.ts';
import type { InputFault } from '../errors.ts';
import { toCustomerClaims, toHeader, tokenBytes } from '../sdk/customers/claims.ts';
import type { Tiers } from '../sdk/customers/claims.ts';
import type { AccountStore, ClientStore } from '../storage/port.ts';
import { toTokenFields } from './fields.ts';
import type { StoredFields } from './fields.ts';

export interface CustomerRules {
  readonly issuer: string;
  readonly audience: string;
  readonly tiers: Tiers;
  /** Of the whole token. */
  readonly maxTokenBytes: number;
  /** The operator's own schema; null: there is none. */
  readonly checkMetadata: ((metadata: unknown) => readonly InputFault[]) | null;
}

/** Those that a customer may be tied to. */
export interface Ties {
  readonly accounts: Pick<AccountStore, 'findByUsername'>;
  readonly clients: Pick<ClientStore, 'find'>;
}

/** What is declared in the same file, and so will be there. */
export interface Together {
  readonly accounts: readonly string[];
  readonly clients: readonly string[];
  /** Customers, by their names in lower case. */
  readonly customers: readonly string[];
}

export const ALONE: Together = { accounts: [], clients: [], customers: [] };

/** Throws `invalid_request` with every fault. */
export async function assertGood(
  fields: StoredFields,
  rules: CustomerRules,
  ties: Ties,
  together: Together,
): Promise<void> {
  const faults = [
    ...tierFaults(fields, rules),
    ...schemaFaults(fields, rules),
    ...(await tieFaults(fields, ties, together)),
  ];
  if (faults.length > 0) throw refused(faults);
}

export const refused = (errors: readonly InputFault[]): AppError =>
  new AppError('invalid_request', errors.map(({ path, message }) => `${path}: ${message}`).join('; '), {
    errors,
  });

function tierFaults(fields: StoredFields, rules: CustomerRules): readonly InputFault[] {
  const { tiers } = rules;
  if (!Object.hasOwn(tiers, fields.customerType)) {
    const message = `expected one of ${Object.keys(tiers).join(', ')}, found "${fields.customerType}"`;
    return [{ path: 'customer_type', message }];
  }
  const bytes = measure(fields, rules);
  if (bytes <= rules.maxTokenBytes) return [];
  const message = `the whole token would have ${bytes} bytes, and may have ${rules.maxTokenBytes}: shorten it`;
  return [{ path: 'additional_metadata', message }];
}

// As long as real ones: a thumbprint (RFC 7638), a series, an expiry and a UUID, and times of today.
const KID = 'k'.repeat(43);
const JTI = 'j'.repeat(65);
const TIME = 1_999_999_999;

/** The size of the token that the customer would get. */
function measure(fields: StoredFields, { issuer, audience, tiers }: CustomerRules): number {
  const claims = toCustomerClaims(toTokenFields(fields), tiers);
  const own = { iss: issuer, aud: audience, sub: fields.username, iat: TIME, exp: TIME, jti: JTI };
  return tokenBytes(toHeader(KID), { ...own, ...claims });
}

const schemaFaults = ({ metadata }: StoredFields, { checkMetadata }: CustomerRules): readonly InputFault[] =>
  (checkMetadata?.(metadata) ?? []).map(({ path, message }) => ({
    path: path === '' ? 'additional_metadata' : `additional_metadata.${path}`,
    message,
  }));

async function tieFaults(
  { username, account, clientId }: StoredFields,
  { accounts, clients }: Ties,
  together: Together,
): Promise<readonly InputFault[]> {
  if (account !== null && clientId !== null) {
    return [{ path: 'client', message: 'a customer is tied to an account or to a client, not to both' }];
  }
  if (account !== null && !together.accounts.includes(account)) {
    const isThere = (await accounts.findByUsername(account)) !== null;
    return isThere ? [] : [{ path: 'account', message: `there is no user "${account}"` }];
  }
  if (clientId === null || together.clients.includes(clientId)) return [];
  const client = await clients.find(clientId);
  if (client === null) return [{ path: 'client', message: `there is no client "${clientId}"` }];
  const { customer: named } = client.metadata;
  return typeof named !== 'string' || named.toLowerCase() === username.toLowerCase()
    ? []
    : [{ path: 'client', message: `the client itself names the customer "${named}"` }];
}
