/**
 * `portcullis/customers`: tokens that tell an API gateway what a customer may do, signed by ES256 with a key of one's
 * own. It needs jose and Node 20 or newer, and no server: time is injected, nothing is global.
 */
export { DEFAULT_TIERS } from './claims.ts';
export type { CustomerClaims, CustomerTokenPayload, Entitlements, Tiers } from './claims.ts';
export { Customer, CustomerType } from './customer.ts';
export type { CustomerFields } from './customer.ts';
export { CustomerError, isCustomerError } from './errors.ts';
export type { CustomerErrorCode, CustomerFault } from './errors.ts';
export type { Metadata } from './metadata.ts';
export { TokenGenerator } from './token-generator.ts';
export type { TokenGeneratorOptions } from './token-generator.ts';
