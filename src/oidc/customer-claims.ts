/**
 * The scope `customer`: what a token, and userinfo, say of the customer that an account or a client is tied to. What it
 * is, the customers slice alone decides.
 */
import { translated } from './store-errors.ts';

/** A scope of this server: it may go with the resource of any API, too. */
export const CUSTOMER_SCOPE = 'customer';
export const CUSTOMER_CLAIMS: readonly string[] = ['username', 'customer_type', 'customer'];

interface Claims {
  readonly username: string;
  readonly customer_type: string;
  readonly customer: Readonly<Record<string, unknown>>;
}

/** What the customers slice gives to the engine. */
export interface CustomersOfEngine {
  /** Null where the account is tied to no customer, or to one without entitlements. */
  readonly claimsOfAccount: (username: string) => Promise<Claims | null>;
  /** The same for a client that acts for itself. */
  readonly claimsOfClient: (clientId: string) => Promise<Claims | null>;
  /** What a living token says that was issued to a customer; null for any other value. */
  readonly findLiveToken: (token: string) => Promise<{ readonly aud: string; readonly sub: string } | null>;
}

/** True for a token, code or grant whose scope has it. */
const hasCustomerScope = (token: object | undefined): boolean =>
  token !== undefined &&
  'scope' in token &&
  typeof token.scope === 'string' &&
  token.scope.split(' ').includes(CUSTOMER_SCOPE);

/** The claims, where the token has the scope and there is a customer. Undefined, at once, without the scope. */
export const customerClaims = (
  token: object | undefined,
  find: () => Promise<object | null>,
): Promise<Record<string, unknown>> | undefined =>
  hasCustomerScope(token) ? translated(find()).then((claims) => ({ ...claims })) : undefined;
