/**
 * What a gateway's configuration is made of, and what is the same in all of them: it asks `GET /api/v1/verify` about
 * each request, hands on who calls, and lets nobody in where the answer is no clear yes.
 */
export interface Origin {
  readonly isTls: boolean;
  /** A name or an IP address, without brackets. */
  readonly host: string;
  readonly isAddress: boolean;
  readonly port: number;
  /** As a Host header has it: the port only where it is not the scheme's. */
  readonly authority: string;
  /** Where a connection goes: with brackets, and always with the port. */
  readonly endpoint: string;
}

/** What is guarded, and by whom. Each text of it is checked: none means anything to the format that it is put into. */
export interface Guarded {
  readonly issuer: Origin;
  readonly upstream: Origin;
  /** An IP address with brackets where it has some, and a port. */
  readonly listen: { readonly host: string; readonly port: number };
  /** Percent-encoded. */
  readonly audience: string;
}

/** They say who calls, and are always in the answer: an empty one takes the place of what a caller wrote there. */
export const IDENTITY_HEADERS: readonly string[] = [
  ...['X-Customer-Username', 'X-Customer-Type', 'X-Customer-Access-Level'],
  ...[
    'X-Auth-Subject',
    'X-Auth-Username',
    'X-Auth-Role',
    'X-Auth-Scopes',
    'X-Auth-Client-Id',
    'X-Auth-Audience',
  ],
];

/** Lua, in which `identity` is the list of them. Some back ends take X_Auth_Role, or X.Auth.Role, for X-Auth-Role. */
export const READS_AS_IDENTITY = `local function reads_as_identity(name)
  local folded = name:lower():gsub("[^a-z0-9]", "-")
  for _, own in ipairs(identity) do
    if folded == own:lower() then return true end
  end
  return false
end
`;

/** What whoever is refused is told beside the body. */
export const REFUSAL_HEADERS: readonly string[] = [
  ...['Content-Type', 'WWW-Authenticate', 'Retry-After', 'RateLimit', 'RateLimit-Policy'],
];

/** How long the server may take; whoever waits longer is not let in. */
export const ANSWER_MS = 5_000;
/** Where systems of the Debian family keep the certificate authorities that they trust. */
export const TRUSTED_AUTHORITIES = '/etc/ssl/certs/ca-certificates.crt';
export const UNAVAILABLE = problem('Service Unavailable', 503, 'Try again in a moment.');
export const NO_CUSTOMER = problem('Forbidden', 403, 'This is for customers.');
export const TOO_MANY = problem('Too Many Requests', 429, 'This customer sent more requests than it may.');

function problem(title: string, status: number, detail: string): string {
  return JSON.stringify({ type: 'about:blank', title, status, detail });
}

export const verifyPath = ({ audience }: Guarded): string =>
  `/api/v1/verify?audience=${audience}&customer=required`;
export const urlOf = ({ isTls, authority }: Origin): string => `http${isTls ? 's' : ''}://${authority}`;
export const about = (gateway: string): string =>
  `${gateway}, guarding an API for customers: it asks Portcullis about each request, which counts it against the\n` +
  "customer's rate_limit, over all gateways, and says what the customer may do at this moment.";
