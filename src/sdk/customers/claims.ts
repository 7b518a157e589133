/** What a customer's token says, and how large it is: the same wherever it is made. */
import { invalid } from './customer.ts';
import type { CustomerFields } from './customer.ts';

/** What a type of customer may do, unless its metadata says otherwise. */
export interface Entitlements {
  /** Requests an hour. */
  readonly rateLimit: number;
  readonly apiAccessLevel: string;
}

/** Type → what it may do. */
export type Tiers = Readonly<Record<string, Entitlements>>;

export const DEFAULT_TIERS: Tiers = {
  premium: { rateLimit: 1_000, apiAccessLevel: 'full' },
  standard: { rateLimit: 500, apiAccessLevel: 'standard' },
  free: { rateLimit: 100, apiAccessLevel: 'basic' },
};

/** The claims that are the customer's; a field that it has not is left out. */
export interface CustomerClaims {
  readonly username: string;
  readonly customer_type: string;
  readonly customer: Readonly<Record<string, unknown>>;
}

/** All that is in a token. */
export interface CustomerTokenPayload extends CustomerClaims {
  readonly iss: string;
  readonly aud: string;
  readonly sub: string;
  readonly iat: number;
  readonly exp: number;
  readonly jti: string;
}

/** Throws a CustomerError for a type that is none of the tiers. */
export function toCustomerClaims(fields: CustomerFields, tiers: Tiers): CustomerClaims {
  const { username, customerType, email, company, subscriptionTier, additionalMetadata = {} } = fields;
  const tier = Object.hasOwn(tiers, customerType) ? tiers[customerType] : undefined;
  if (tier === undefined) {
    throw invalid([
      {
        path: 'customerType',
        message: `expected one of ${Object.keys(tiers).join(', ')}, found "${customerType}"`,
      },
    ]);
  }
  return {
    username,
    customer_type: customerType,
    customer: {
      username,
      customer_type: customerType,
      ...(email !== undefined && { email }),
      ...(company !== undefined && { company }),
      ...(subscriptionTier !== undefined && { subscription_tier: subscriptionTier }),
      rate_limit: tier.rateLimit,
      api_access_level: tier.apiAccessLevel,
      ...additionalMetadata,
    },
  };
}

/** The header of every customer token. */
export const toHeader = (kid: string) => ({ alg: 'ES256', typ: 'JWT', kid }) as const;

const SIGNATURE_CHARACTERS = 86; // of 64 bytes as base64url

/** How many bytes the signed token has. */
export const tokenBytes = (header: object, payload: object): number =>
  base64urlLength(header) + 1 + base64urlLength(payload) + 1 + SIGNATURE_CHARACTERS;

const base64urlLength = (value: object): number =>
  Math.ceil((Buffer.byteLength(JSON.stringify(value)) * 4) / 3);
