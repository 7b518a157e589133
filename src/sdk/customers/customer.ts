/** A customer: an API consumer, whose token tells a gateway what it may do. Every field is checked when it is made. */
import { CustomerError } from './errors.ts';
import type { CustomerFault } from './errors.ts';
import { metadataFaults } from './metadata.ts';
import type { Metadata } from './metadata.ts';

/** The types that every generator knows. */
export const CustomerType = { PREMIUM: 'premium', STANDARD: 'standard', FREE: 'free' } as const;
export type CustomerType = (typeof CustomerType)[keyof typeof CustomerType];

/** What may be said of a customer. */
export interface CustomerFields {
  /** 1 to 64 letters, digits, ".", "_" or "-". */
  readonly username: string;
  /** One of {@link CustomerType}, or of the generator's own tiers. */
  readonly customerType: string;
  readonly email?: string | undefined;
  readonly company?: string | undefined;
  readonly subscriptionTier?: string | undefined;
  /** A JSON object of at most 8 KiB, merged into the claim `customer`. */
  readonly additionalMetadata?: Metadata | undefined;
}

/** It stands in addresses and in file names. */
export const USERNAME = /^(?!\.{1,2}$)[A-Za-z0-9._-]{1,64}$/;
export const TYPE = /^[a-z][a-z0-9_-]{0,31}$/;
export const EMAIL = /^[^\s@<>"(),:;\\[\]\p{Cc}]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$/u;
/** One line, of well-formed text. */
export const LINE = /^[^\p{Cc}\p{Zl}\p{Zp}\p{Cs}]{1,200}$/u;

/** What each field may be, in words. */
export const EXPECTED = {
  username: '1 to 64 letters, digits, ".", "_" or "-"',
  customerType: 'a type of 1 to 32 lower-case letters, digits, "_" or "-", a letter first',
  email: 'an email address, such as ada@example.com',
  line: '1 to 200 characters on one line',
} as const;

/** A customer whose fields are good. */
export class Customer implements CustomerFields {
  readonly username: string;
  readonly customerType: string;
  readonly email: string | undefined;
  readonly company: string | undefined;
  readonly subscriptionTier: string | undefined;
  readonly additionalMetadata: Metadata | undefined;

  /** Throws a {@link CustomerError} with every fault. */
  constructor(fields: CustomerFields) {
    const faults = fieldFaults(fields);
    if (faults.length > 0) throw invalid(faults);
    this.username = fields.username;
    this.customerType = fields.customerType;
    this.email = fields.email;
    this.company = fields.company;
    this.subscriptionTier = fields.subscriptionTier;
    // A copy: what is changed in the original afterwards was not checked.
    this.additionalMetadata =
      fields.additionalMetadata && (JSON.parse(JSON.stringify(fields.additionalMetadata)) as Metadata);
  }
}

function fieldFaults(fields: CustomerFields): readonly CustomerFault[] {
  const { additionalMetadata: metadata } = fields;
  return [
    ...textFault(fields, 'username', USERNAME, EXPECTED.username),
    ...textFault(fields, 'customerType', TYPE, EXPECTED.customerType),
    ...optionalFault(fields, 'email', EMAIL, EXPECTED.email),
    ...optionalFault(fields, 'company', LINE, EXPECTED.line),
    ...optionalFault(fields, 'subscriptionTier', LINE, EXPECTED.line),
    ...(metadata === undefined ? [] : metadataFaults(metadata, 'additionalMetadata')),
  ];
}

type TextField = Exclude<keyof CustomerFields, 'additionalMetadata'>;

function textFault(
  fields: CustomerFields,
  path: TextField,
  pattern: RegExp,
  expected: string,
): readonly CustomerFault[] {
  const value: unknown = fields[path]; // a program without types hands over anything
  if (typeof value === 'string' && pattern.test(value)) return [];
  return [{ path, message: `expected ${expected}, found ${shown(value)}` }];
}

/** Enough of it to recognize it, in a terminal, too. */
const shown = (value: unknown): string =>
  typeof value === 'string'
    ? JSON.stringify(value.slice(0, 60).replaceAll(/\p{C}/gu, '?'))
    : value === undefined
      ? 'nothing'
      : `a ${typeof value}`;

const optionalFault: typeof textFault = (fields, path, pattern, expected) =>
  fields[path] === undefined ? [] : textFault(fields, path, pattern, expected);

export const invalid = (faults: readonly CustomerFault[]): CustomerError =>
  new CustomerError(
    'ERR_CUSTOMER_INVALID',
    faults.map(({ path, message }) => `${path}: ${message}`).join('; '),
    { faults },
  );
