/**
 * The tokens that this server issues to customers. They are for the gateway of an API, which checks them by our JWKS; no
 * door of this server takes one. What is revoked is told to whoever asks (RFC 7662), and to gateways that follow the feed:
 * the `jti` begins with the series of its customer, so that a new series ends all that were issued before.
 */
import { createLocalJWKSet, errors, jwtVerify } from 'jose';
import type { JWK } from 'jose';

import type { Recorder } from '../audit/entry.ts';
import { AppError } from '../errors.ts';
import type { CustomerTokenPayload, Tiers } from '../sdk/customers/claims.ts';
import type { Customer, CustomerStore } from '../storage/port.ts';
import { targetOf } from './customers.ts';
import type { Endings } from './endings.ts';
import { claimsOf } from './fields.ts';
import { isOfSeries, newTokenId } from './series.ts';

const MAX_TOKEN_CHARACTERS = 24 * 1_024;
const REQUIRED = ['iss', 'aud', 'sub', 'iat', 'exp', 'jti', 'username', 'customer_type', 'customer'];

export interface CustomerTokenOptions {
  readonly issuer: string;
  readonly audience: string;
  readonly tiers: Tiers;
  /** Seconds. */
  readonly lifetimeSeconds: number;
  readonly maxLifetimeSeconds: number;
  readonly endings: Pick<Endings, 'settled' | 'endToken'>;
  /** Signs by ES256 with the key of the present ring. */
  readonly sign: (payload: CustomerTokenPayload) => Promise<string>;
  readonly now: () => number;
}

export interface IssuedToken {
  readonly token: string;
  readonly payload: CustomerTokenPayload;
}

export interface CustomerTokens {
  /** Throws `invalid_request` for a life that is too long, `conflict` for a type that is none any more. */
  issue(customer: Customer, expiresIn: number | undefined, record: Recorder): Promise<IssuedToken>;
  /** Ends one token. Throws `not_found` for a `jti` that is none of the customer's living series. */
  revoke(customer: Customer, jti: string, record: Recorder): Promise<void>;
}

/** Makes what issues and revokes. */
export function createCustomerTokens(options: CustomerTokenOptions): CustomerTokens {
  const { endings } = options;
  return {
    issue: async (customer, expiresIn = options.lifetimeSeconds, record) =>
      issue(await endings.settled(customer), expiresIn, record, options),
    revoke: async (customer, jti, record) => {
      if (!isOfSeries(jti, customer.series))
        throw new AppError('not_found', 'The customer has no such token.');
      const change = { action: 'customer.revoke_token', target: targetOf(customer), details: { jti } };
      await record(change, () => endings.endToken(jti));
    },
  };
}

async function issue(
  customer: Customer,
  expiresIn: number,
  record: Recorder,
  { issuer, audience, tiers, maxLifetimeSeconds, sign, now }: CustomerTokenOptions,
): Promise<IssuedToken> {
  if (expiresIn > maxLifetimeSeconds) {
    const message = `expected at most ${maxLifetimeSeconds} seconds, found ${expiresIn}`;
    throw new AppError('invalid_request', `expires_in: ${message}`, {
      errors: [{ path: 'expires_in', message }],
    });
  }
  const claims = claimsOf(customer, tiers);
  if (claims === null) {
    const message = `"${customer.customerType}" is none of the customers.tiers any more: give the customer another type`;
    throw new AppError('conflict', `customer_type: ${message}.`, {
      errors: [{ path: 'customer_type', message }],
    });
  }
  const iat = now();
  const exp = iat + expiresIn;
  const times = { iat, exp, jti: newTokenId(customer.series, exp) };
  const payload = { iss: issuer, aud: audience, sub: customer.username, ...times, ...claims };
  const details = { jti: times.jti, expires_in: expiresIn };
  const change = { action: 'customer.issue_token', target: targetOf(customer), details };
  return { payload, token: await record(change, () => sign(payload)) };
}

/** Of an EC key (RFC 7518 6.2.1): what verifies has no use for the rest. */
const toPublic = ({ kid, x, y }: JWK) =>
  ({ kty: 'EC', crv: 'P-256', alg: 'ES256', use: 'sig', kid, x, y }) as JWK & { readonly kty: string };

export interface LiveTokenOptions extends Pick<CustomerTokenOptions, 'issuer' | 'audience' | 'now'> {
  readonly customers: Pick<CustomerStore, 'find'>;
  readonly endings: Pick<Endings, 'hasEnded'>;
  /** The keys of the present ring. */
  readonly jwks: readonly JWK[];
}

export type FindLiveCustomerToken = (token: string) => Promise<CustomerTokenPayload | null>;

/** Finds what a customer's token of ours says that is good now, and whose customer is still there. */
export function createFindLiveCustomerToken(options: LiveTokenOptions): FindLiveCustomerToken {
  const keys = createLocalJWKSet({ keys: options.jwks.filter(({ alg }) => alg === 'ES256').map(toPublic) });
  const { issuer, audience, customers, endings, now } = options;
  const verify = async (token: string): Promise<CustomerTokenPayload | null> => {
    if (token.length > MAX_TOKEN_CHARACTERS) return null;
    try {
      const { payload } = await jwtVerify<CustomerTokenPayload>(token, keys, {
        ...{ issuer, audience, algorithms: ['ES256'], typ: 'JWT', requiredClaims: REQUIRED },
        currentDate: new Date(now() * 1_000),
      });
      return payload;
    } catch (error) {
      if (error instanceof errors.JOSEError) return null;
      throw error;
    }
  };

  return async (token) => {
    const payload = await verify(token);
    const customer = payload && (await customers.find(payload.sub));
    if (payload === null || customer === null || !isOfSeries(payload.jti, customer.series)) return null;
    return (await endings.hasEnded(payload)) ? null : payload;
  };
}
