/**
 * Customers, put together: what administers them, what issues their tokens by the present key ring, and what the
 * protocol engine says of an account or a client that is tied to one. A part of the composition root.
 */
import type { JWK } from 'jose';

import { createCursors } from '../api/cursor.ts';
import type { Route } from '../api/route.ts';
import { customerOf } from '../clients/ties.ts';
import { signingSecretsOf } from '../config.ts';
import type { Config, JwtSecrets } from '../config.ts';
import { createCustomers } from '../customers/customers.ts';
import type { CustomersOptions } from '../customers/customers.ts';
import { createEndings } from '../customers/endings.ts';
import type { Endings } from '../customers/endings.ts';
import { claimsOf } from '../customers/fields.ts';
import { createCustomerRoutes } from '../customers/routes.ts';
import { createCustomerTokens, createFindLiveCustomerToken } from '../customers/tokens.ts';
import { compileJsonSchema } from '../json-schema.ts';
import type { CheckJson } from '../json-schema.ts';
import type { Sign } from '../keys/signer.ts';
import type { Ledger } from './ledger.ts';
import { foldName } from '../names.ts';
import type { BearerToken } from '../oidc/bearer-tokens.ts';
import { CUSTOMER_SCOPE } from '../oidc/customer-claims.ts';
import type { CustomersOfEngine } from '../oidc/customer-claims.ts';
import { createRecorderOf } from './recorder.ts';
import type { CustomerClaims } from '../sdk/customers/claims.ts';
import type { Customer, Storage } from '../storage/port.ts';
import type { EntitledCustomer, FoundToken } from '../verify/verify.ts';

interface CustomerParts {
  readonly config: Config;
  readonly storage: Pick<Storage, 'customers' | 'accounts' | 'clients' | 'revocations'>;
  /** There is something new in the feed of gateways; left out where nobody here serves it. */
  readonly onEnded?: (() => void) | undefined;
  readonly now: () => number;
}

/** The slice on a store. */
export const openCustomers = (parts: CustomerParts) =>
  createCustomers({
    ...{ customers: parts.storage.customers, rules: rulesOf(parts.config), ties: parts.storage, foldName },
    ...{ endings: endingsOf(parts), revokesOnChange: parts.config.customers.revokesOnChange, now: parts.now },
  });

const endingsOf = ({ storage, onEnded = () => undefined, now }: CustomerParts): Endings =>
  createEndings({ ...storage, onAppended: onEnded, now });

const rulesOf = ({ issuer, customers }: Config): CustomersOptions['rules'] => ({
  issuer,
  audience: customers.audience,
  tiers: customers.tiers,
  maxTokenBytes: customers.maxTokenBytes,
  checkMetadata: customers.metadataSchema && compiled(customers.metadataSchema.schema),
});

/** The configuration is not taken with a schema that does not compile. */
function compiled(schema: object): CheckJson {
  const outcome = compileJsonSchema(schema);
  if (!outcome.ok) throw new Error(`The schema of customers' metadata: ${outcome.message}`);
  return outcome.check;
}

interface CustomerServiceOptions extends CustomerParts {
  readonly secrets: JwtSecrets;
  readonly ledger: Pick<Ledger, 'audit'>;
  /** The signer of the present key ring. */
  readonly sign: () => Sign;
}

/** The requests of the JSON API. */
export function createCustomerService(options: CustomerServiceOptions): readonly Route[] {
  const { config, secrets, ledger, sign, now } = options;
  const { tiers, audience, tokenLifetimeSeconds, maxTokenLifetimeSeconds } = config.customers;
  return createCustomerRoutes({
    tiers,
    tokens: createCustomerTokens({
      ...{ issuer: config.issuer, audience, tiers },
      ...{ lifetimeSeconds: tokenLifetimeSeconds, maxLifetimeSeconds: maxTokenLifetimeSeconds },
      ...{ endings: endingsOf(options), now },
      sign: (payload) => sign()({ ...payload }),
    }),
    customersAs: openCustomers(options).as,
    recorderOf: createRecorderOf(ledger.audit),
    cursors: createCursors(signingSecretsOf(secrets)),
  });
}

/** What the engine of one key ring asks. */
export function customersOfEngine(parts: CustomerParts, jwks: readonly JWK[]): CustomersOfEngine {
  const { config, storage, now } = parts;
  const { issuer } = config;
  const { audience, tiers } = config.customers;
  const { customers } = storage;
  const claims = (customer: Customer | null) => customer && claimsOf(customer, tiers);
  return {
    claimsOfAccount: async (username) => claims(await customers.findByAccount(username)),
    claimsOfClient: async (clientId) => {
      const named = customerOf(await storage.clients.find(clientId));
      return claims(await (named === null ? customers.findByClient(clientId) : customers.find(named)));
    },
    findLiveToken: createFindLiveCustomerToken({
      ...{ issuer, audience, customers, jwks, now },
      endings: endingsOf(parts),
    }),
  };
}

/** What a gateway is told of customers: as they are at this moment, whatever the token says. */
export interface FindCustomer {
  /** The token of a customer itself; null for any other value, and where the customer may do nothing any more. */
  byToken(value: string): Promise<FoundToken | null>;
  /** The customer that another token's scope tells of. */
  of(token: BearerToken): Promise<EntitledCustomer | null>;
}

/** `customers`: those of the present key ring. */
export function createFindCustomer(
  { config, storage }: Pick<CustomerParts, 'config' | 'storage'>,
  customers: () => CustomersOfEngine,
): FindCustomer {
  const { audience, tiers } = config.customers;
  return {
    byToken: async (value) => {
      const token = await customers().findLiveToken(value);
      const found = token && (await storage.customers.find(token.sub));
      const customer = found && toEntitled(claimsOf(found, tiers));
      if (customer === null) return null;
      return { subject: customer.username, clientId: null, scopes: [], audience, account: null, customer };
    },
    of: async ({ scopes, account, clientId }) => {
      if (!scopes.includes(CUSTOMER_SCOPE)) return null;
      const { claimsOfAccount, claimsOfClient } = customers();
      return toEntitled(
        await (account === null ? claimsOfClient(clientId) : claimsOfAccount(account.username)),
      );
    },
  };
}

function toEntitled(claims: CustomerClaims | null): EntitledCustomer | null {
  if (claims === null) return null;
  const { rate_limit: rateLimit, api_access_level: level } = claims.customer;
  // Both are always there: of the type, or of the metadata, which was checked.
  return {
    username: claims.username,
    type: claims.customer_type,
    rateLimit: Number(rateLimit),
    apiAccessLevel: String(level),
  };
}
