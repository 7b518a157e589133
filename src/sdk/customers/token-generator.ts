/** Makes and checks the tokens of customers by one private key, without a server. */
import { createPublicKey, randomUUID } from 'node:crypto';
import type { KeyObject } from 'node:crypto';

import { jwtVerify, SignJWT } from 'jose';

import { DEFAULT_TIERS, toCustomerClaims, tokenBytes, toHeader } from './claims.ts';
import type { CustomerTokenPayload, Tiers } from './claims.ts';
import { Customer } from './customer.ts';
import type { CustomerFields } from './customer.ts';
import { CustomerError } from './errors.ts';
import { readPrivateKey } from './private-key.ts';

export const DEFAULT_ISSUER = 'https://petstore.automatic-demo.com';
export const DEFAULT_AUDIENCE = 'petstore';
export const DEFAULT_KEY_ID = 'petstore-ec256';
export const DEFAULT_LIFETIME_SECONDS = 3_600;
/** What common gateways take in one header, beside all else that is in it. */
export const DEFAULT_MAX_TOKEN_BYTES = 4_096;
const REQUIRED = ['iss', 'aud', 'sub', 'iat', 'exp', 'jti', 'username', 'customer_type', 'customer'];

export interface TokenGeneratorOptions {
  /** An EC private key on P-256 in PEM form. */
  readonly privateKey: string;
  readonly issuer?: string | undefined;
  readonly audience?: string | undefined;
  /** The `kid` by which a gateway finds the public half. */
  readonly keyId?: string | undefined;
  /** Other types of customers in the place of premium, standard and free. */
  readonly tiers?: Tiers | undefined;
  /** Of the whole token; Infinity for no bound. */
  readonly maxTokenBytes?: number | undefined;
  /** Unix seconds; the system's clock, if left out. */
  readonly now?: (() => number) | undefined;
}

/** Holds customers in memory, and signs for them. */
export class TokenGenerator {
  readonly #customers = new Map<string, Customer>();
  readonly #options: Required<{
    [Name in keyof TokenGeneratorOptions]: NonNullable<TokenGeneratorOptions[Name]>;
  }>;
  readonly #privateKey: KeyObject;

  /** Throws a {@link CustomerError} for what is no such key. */
  constructor(options: TokenGeneratorOptions) {
    const { issuer = DEFAULT_ISSUER, audience = DEFAULT_AUDIENCE, keyId = DEFAULT_KEY_ID } = options;
    const { tiers = DEFAULT_TIERS, maxTokenBytes = DEFAULT_MAX_TOKEN_BYTES, now = systemTime } = options;
    this.#options = { ...options, issuer, audience, keyId, tiers, maxTokenBytes, now };
    this.#privateKey = readPrivateKey(options.privateKey);
  }

  /** Takes the place of an earlier one of that name. Throws a {@link CustomerError} with every fault. */
  addCustomer(fields: CustomerFields): Customer {
    const customer = new Customer(fields);
    toCustomerClaims(customer, this.#options.tiers); // a type that there is none of is told now
    this.#customers.set(customer.username, customer);
    return customer;
  }

  /** Signs a token for a customer that was added. `expiresIn` in seconds. */
  async generateToken(
    username: string,
    { expiresIn = DEFAULT_LIFETIME_SECONDS }: { readonly expiresIn?: number | undefined } = {},
  ): Promise<string> {
    const customer = this.#customers.get(username);
    if (customer === undefined) {
      throw new CustomerError('ERR_CUSTOMER_UNKNOWN', `There is no customer "${username}": add it first.`);
    }
    if (!Number.isSafeInteger(expiresIn) || expiresIn < 1) {
      throw new TypeError('expiresIn: a whole number of seconds, at least 1');
    }
    const { issuer, audience, keyId, tiers, maxTokenBytes, now } = this.#options;
    const iat = now();
    const payload = {
      ...{ iss: issuer, aud: audience, sub: username, iat, exp: iat + expiresIn, jti: randomUUID() },
      ...toCustomerClaims(customer, tiers),
    };
    const bytes = tokenBytes(toHeader(keyId), payload);
    if (bytes > maxTokenBytes) {
      const message = `The token of "${username}" would have ${bytes} bytes, and may have ${maxTokenBytes}: shorten its metadata.`;
      throw new CustomerError('ERR_CUSTOMER_TOKEN_TOO_LARGE', message);
    }
    return new SignJWT(payload).setProtectedHeader(toHeader(keyId)).sign(this.#privateKey);
  }

  /** Gives what a token of this issuer, audience and key says. Rejects with a {@link CustomerError} for any other. */
  async validateToken(token: string): Promise<CustomerTokenPayload> {
    const { issuer, audience, now } = this.#options;
    try {
      const { payload } = await jwtVerify<CustomerTokenPayload>(token, createPublicKey(this.#privateKey), {
        ...{ issuer, audience, algorithms: ['ES256'], typ: 'JWT', requiredClaims: REQUIRED },
        currentDate: new Date(now() * 1_000),
      });
      return payload;
    } catch (cause) {
      throw refusalOf(cause);
    }
  }
}

function refusalOf(cause: unknown): CustomerError {
  const isExpired =
    typeof cause === 'object' && cause !== null && 'code' in cause && cause.code === 'ERR_JWT_EXPIRED';
  return isExpired
    ? new CustomerError('ERR_CUSTOMER_TOKEN_EXPIRED', 'The token has expired.', { cause })
    : new CustomerError(
        'ERR_CUSTOMER_TOKEN_INVALID',
        'This is no customer token of this issuer, audience and key.',
        { cause },
      );
}

const systemTime = (): number => Math.floor(Date.now() / 1_000);
