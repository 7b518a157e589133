/** Who calls, as headers that a gateway hands to what is behind it. */
import type { Verified } from './verify.ts';

/** Printable ASCII but for the sign that escapes the rest. */
const ESCAPED = /[^ -$&-~]+/gu;

/**
 * All of them, always: an empty one takes the place of what the caller wrote there. Whatever could end a header, or
 * is no ASCII, is percent-encoded (UTF-8), and so is the percent sign.
 */
export const toHeaders = ({
  subject,
  username,
  role,
  scopes,
  clientId,
  audience,
  customer,
}: Verified): Readonly<Record<string, string>> => ({
  'X-Auth-Subject': encode(subject),
  'X-Auth-Username': encode(username ?? ''),
  'X-Auth-Role': encode(role ?? ''),
  'X-Auth-Scopes': encode(scopes.join(' ')),
  'X-Auth-Client-Id': encode(clientId ?? ''),
  'X-Auth-Audience': encode(audience ?? ''),
  'X-Customer-Username': encode(customer?.username ?? ''),
  'X-Customer-Type': encode(customer?.type ?? ''),
  'X-Customer-Access-Level': encode(customer?.apiAccessLevel ?? ''),
});

const encode = (text: string): string =>
  text
    .toWellFormed()
    .replaceAll(ESCAPED, (part) =>
      [...Buffer.from(part)].map((byte) => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`).join(''),
    );
