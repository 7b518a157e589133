/** What goes in and out of customers, in JSON, apply files and on the command line. */
import { z } from 'zod';

import { AppError } from '../errors.ts';
import { readInput } from '../input-words.ts';
import { toInstant } from '../instant.ts';
import { toCustomerClaims } from '../sdk/customers/claims.ts';
import type { Tiers } from '../sdk/customers/claims.ts';
import { EMAIL, EXPECTED, LINE, TYPE, USERNAME } from '../sdk/customers/customer.ts';
import { isCustomerError } from '../sdk/customers/errors.ts';
import { MAX_METADATA_BYTES, metadataFaults } from '../sdk/customers/metadata.ts';
import type { Metadata } from '../sdk/customers/metadata.ts';
import type { Customer } from '../storage/port.ts';
import { toTokenFields } from './fields.ts';

const Line = z.string().regex(LINE, EXPECTED.line);

/** Looked at by hand: what walks into an object with a schema may leave out what it does not expect. */
const AdditionalMetadata = z
  .unknown()
  .superRefine((value, context) => {
    for (const { path, message } of metadataFaults(value, '')) {
      context.addIssue({ code: 'custom', path: path === '' ? [] : [path.replace(/^\./, '')], message });
    }
  })
  .transform((value) => value as Metadata) // by the rule above
  .meta({
    type: 'object',
    additionalProperties: true,
    description:
      `A JSON object of at most ${MAX_METADATA_BYTES} bytes, merged into the claim \`customer\`. It may set ` +
      '`rate_limit` and `api_access_level`, and none of the other fields of a customer.',
  });

const Username = z.string().regex(USERNAME, EXPECTED.username);
const Type = z
  .string()
  .regex(TYPE, EXPECTED.customerType)
  .meta({ description: 'One of `customers.tiers` of the settings.' });

const Optional = {
  email: z.string().regex(EMAIL, EXPECTED.email).nullable().optional(),
  company: Line.nullable().optional(),
  subscription_tier: Line.nullable().optional(),
  additional_metadata: AdditionalMetadata.nullable().optional(),
  account: z
    .string()
    .min(1)
    .max(255)
    .nullable()
    .optional()
    .meta({ description: 'The username of the account that is tied to the customer.' }),
  client: z
    .string()
    .min(1)
    .max(128)
    .nullable()
    .optional()
    .meta({ description: 'The client that is tied to the customer, in the place of an account.' }),
};

/** A customer as it is declared; what is left out, or null, it has not. */
export const CustomerInput = z.strictObject({ username: Username, customer_type: Type, ...Optional });
export type CustomerInput = z.output<typeof CustomerInput>;

/** What is left out stays as it is; null takes it away. */
export const CustomerChanges = z
  .strictObject({ customer_type: Type.optional(), ...Optional })
  .refine((changes) => Object.keys(changes).length > 0, 'name what changes');
export type CustomerChanges = z.output<typeof CustomerChanges>;

/** Reads what the command line made of its options; throws `invalid_request` with each fault. */
export function parseCustomer<T>(schema: z.ZodType<T>, fields: unknown): T {
  const read = readInput(schema, fields);
  if (read.ok) return read.value;
  const faults = read.faults.map(({ path, message }) => ({ path: path.map(String).join('.'), message }));
  const sentence = faults.map(({ path, message }) => `${path}: ${message}`).join('; ');
  throw new AppError('invalid_request', sentence, { errors: faults });
}

const Moment = z.string().meta({ format: 'date-time' });

export const CustomerView = z
  .object({
    username: z.string(),
    customer_type: z.string(),
    email: z.string().nullable(),
    company: z.string().nullable(),
    subscription_tier: z.string().nullable(),
    additional_metadata: z.record(z.string(), z.unknown()),
    account: z.string().nullable(),
    client: z.string().nullable(),
    rate_limit: z
      .int()
      .nullable()
      .meta({ description: 'Requests an hour, as a token would say now; null where the type is no more.' }),
    api_access_level: z.string().nullable().meta({ description: 'The same.' }),
    created_at: Moment,
    updated_at: Moment,
  })
  .meta({ id: 'Customer' });

export type CustomerView = z.input<typeof CustomerView>;

/** What may be shown of a customer. */
export function toView(customer: Customer, tiers: Tiers): CustomerView {
  const { rate_limit: rate, api_access_level: level } = claimOf(customer, tiers);
  return {
    username: customer.username,
    customer_type: customer.customerType,
    email: customer.email,
    company: customer.company,
    subscription_tier: customer.subscriptionTier,
    additional_metadata: { ...customer.metadata },
    account: customer.account,
    client: customer.clientId,
    rate_limit: typeof rate === 'number' ? rate : null,
    api_access_level: typeof level === 'string' ? level : null,
    created_at: toInstant(customer.createdAt),
    updated_at: toInstant(customer.updatedAt),
  };
}

function claimOf(customer: Customer, tiers: Tiers): Readonly<Record<string, unknown>> {
  try {
    return toCustomerClaims(toTokenFields(customer), tiers).customer;
  } catch (error) {
    if (isCustomerError(error)) return {};
    throw error;
  }
}
