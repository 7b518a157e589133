/**
 * The table of all settings: for each its path in the settings file, its name in the environment, its flag, what
 * it may hold, its default and the words for people. A new setting is one entry here and one line in
 * `config/portcullis.yaml`. Secrets are not settings: see `secrets.ts`.
 */
import * as z from 'zod';

import { PERMISSIONS } from '../permissions.ts';
import {
  accentColour,
  addressOrOff,
  audience,
  brandName,
  database,
  exactOrigins,
  fileOrNone,
  folder,
  host,
  mailFrom,
  onOff,
  origin,
  permissions,
  roles,
  signingAlgorithms,
  tiers,
  trustedProxies,
  wholeNumber,
} from './values.ts';

const DAY_SECONDS = 86_400;
const YEAR_SECONDS = 365 * DAY_SECONDS;
const MAX_RATE = 1_000_000;
const PERMISSION_LIST = `a list of permissions: ${PERMISSIONS.join(', ')}`;
const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const;

interface Setting<Schema extends z.ZodType, Default> {
  /** Where it stands in the settings file. */
  readonly path: string;
  /** Its name in the environment; null where only the settings file can hold it. */
  readonly env: string | null;
  readonly schema: Schema;
  /** Turns the text of a flag or an environment variable into what the file would hold; undefined: not given. */
  readonly fromText: (text: string) => unknown;
  /** As the file would write it; null where it follows from other settings (see `config.ts`). */
  readonly default: Default;
  /** What it is, in one line. */
  readonly about: string;
  /** Completes "expected …". */
  readonly expected: string;
  /** A value that works, for the remedy; where none is given, the default. */
  readonly example?: string;
  /** Its value may hold a password, so a refused one is not shown. */
  readonly isSensitive?: true;
}

/** Checks at compile time that a default is something its own schema takes. */
function setting<Schema extends z.ZodType, const Default extends z.input<Schema> | null>(
  entry: Setting<Schema, Default>,
): Setting<Schema, Default> {
  return entry;
}

const asIs = (text: string): string => text;
const asNumber = (text: string): unknown => (/^-?(?:0|[1-9]\d*)$/.test(text) ? Number(text) : text);
const asList = (text: string): unknown =>
  text
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '');
const asSwitch = (text: string): unknown => booleanOf(text.toLowerCase()) ?? text.toLowerCase();

/** `DEBUG` is ours only as a boolean: the npm package `debug` reads the same variable as a list of namespaces. */
export function isOurDebug(text: string): boolean {
  return booleanOf(text.trim().toLowerCase()) !== undefined || text.trim() === '';
}

function booleanOf(text: string): boolean | undefined {
  if (text === 'true' || text === '1') return true;
  return text === 'false' || text === '0' ? false : undefined;
}

function seconds(least: number, most: number): string {
  return `a whole number of seconds from ${least} to ${most}`;
}

export const SETTINGS = {
  environment: setting({
    path: 'environment',
    env: 'NODE_ENV',
    schema: z.enum(['development', 'test', 'production']),
    fromText: asIs,
    default: null,
    about: 'Which rules apply; unset: development where the issuer is loopback, otherwise production.',
    expected: 'development, test or production',
    example: 'production',
  }),
  issuer: setting({
    path: 'issuer',
    env: 'ISSUER',
    schema: origin,
    fromText: asIs,
    default: null,
    about: 'The origin that clients know this server by; https in production.',
    expected: 'an origin, http(s)://host[:port], without path, query, fragment and user',
    example: 'https://auth.example.com',
  }),
  host: setting({
    path: 'host',
    env: 'HOST',
    schema: host,
    fromText: asIs,
    default: null,
    about: 'The address to listen on; unset: 127.0.0.1 in development, 0.0.0.0 in production.',
    expected: 'an IP address or a host name, without a port',
    example: '127.0.0.1',
  }),
  port: setting({
    path: 'port',
    env: 'PORT',
    schema: wholeNumber(0, 65_535),
    fromText: asNumber,
    default: 8011,
    about: 'The port to listen on; 0: any free one.',
    expected: 'a whole number from 0 to 65535',
  }),
  databaseUrl: setting({
    path: 'database_url',
    env: 'DATABASE_URL',
    schema: database,
    fromText: asIs,
    default: 'sqlite:var/portcullis.db',
    about: 'The store: sqlite:PATH, mongodb://… or mongodb+srv://…; with a password in it, environment only.',
    expected: 'sqlite:PATH (one colon, no slashes before the path), mongodb://HOST… or mongodb+srv://HOST…',
    isSensitive: true,
  }),
  trustProxy: setting({
    path: 'trust_proxy',
    env: 'TRUST_PROXY',
    schema: trustedProxies,
    fromText: (text) => (asNumber(text) === text ? asList(text) : asNumber(text)),
    default: 0,
    about: 'The reverse proxies whose X-Forwarded-For is trusted: how many there are, or their networks.',
    expected:
      'how many trusted proxies there are, from 0 to 10, or their networks, comma-separated: addresses, ranges such as 10.0.0.0/8, loopback, private',
    example: '1',
  }),
  corsAllowedOrigins: setting({
    path: 'cors_allowed_origins',
    env: 'CORS_ALLOWED_ORIGINS',
    schema: exactOrigins,
    fromText: asList,
    default: [],
    about: 'Other origins whose scripts may read answers; in the environment comma-separated.',
    expected:
      'exact origins, each http(s)://host[:port] in lower case without a path or slash at its end; not * and not null',
    example: 'https://app.example.com,https://admin.example.com',
  }),
  metricsAddress: setting({
    path: 'metrics_address',
    env: 'METRICS_ADDRESS',
    schema: addressOrOff,
    fromText: asIs,
    default: '127.0.0.1:9464',
    about: 'Where Prometheus reads /metrics, host:port, or off.',
    expected: 'host:port (an IPv6 address in brackets), or off',
  }),
  logLevel: setting({
    path: 'log_level',
    env: 'LOG_LEVEL',
    schema: z.enum(LOG_LEVELS),
    fromText: (text) => text.toLowerCase(),
    default: 'info',
    about: 'The least level that is logged: fatal, error, warn, info, debug, trace or silent.',
    expected: `one of ${LOG_LEVELS.join(', ')}`,
  }),
  rateLimits: setting({
    path: 'rate_limits',
    env: 'RATE_LIMITS',
    schema: onOff,
    fromText: asSwitch,
    default: 'on',
    about: 'Rate limits: on or off; off in development only.',
    expected: 'on or off',
  }),
  userRateLimit: setting({
    path: 'rate_limit.user',
    env: 'RATE_LIMIT_USER',
    schema: wholeNumber(1, MAX_RATE),
    fromText: asNumber,
    default: 100,
    about: 'Requests to the JSON API, and forms of their own pages, that one user may send in an hour, each.',
    expected: `a whole number from 1 to ${MAX_RATE}`,
  }),
  adminRateLimit: setting({
    path: 'rate_limit.admin',
    env: 'RATE_LIMIT_ADMIN',
    schema: wholeNumber(1, MAX_RATE),
    fromText: asNumber,
    default: 1_000,
    about: 'The same for an administrator.',
    expected: `a whole number from 1 to ${MAX_RATE}`,
  }),
  ipRateLimit: setting({
    path: 'rate_limit.ip',
    env: 'RATE_LIMIT_IP',
    schema: wholeNumber(1, MAX_RATE),
    fromText: asNumber,
    default: 600,
    about:
      'Forms and API requests without a sign-in (sign-in, registration, links) that one network may send in an hour.',
    expected: `a whole number from 1 to ${MAX_RATE}`,
  }),
  authorizeRateLimit: setting({
    path: 'rate_limit.authorize',
    env: 'RATE_LIMIT_AUTHORIZE',
    schema: wholeNumber(1, MAX_RATE),
    fromText: asNumber,
    default: 3_000,
    about:
      'Requests of applications for a sign-in that one network, or one person who is signed in, may make in an hour.',
    expected: `a whole number from 1 to ${MAX_RATE}`,
  }),
  debug: setting({
    path: 'debug',
    env: 'DEBUG',
    schema: z.boolean(),
    fromText: (text) => (isOurDebug(text) ? booleanOf(text.toLowerCase()) : undefined),
    default: false,
    about: 'Detailed errors in answers: true or false; true in development only.',
    expected: 'true or false',
  }),
  keysFolder: setting({
    path: 'keys_dir',
    env: 'KEYS_DIR',
    schema: folder,
    fromText: asIs,
    default: 'keys',
    about: 'The folder whose *.pem files are imported as signing keys.',
    expected: 'the path of a folder',
  }),
  varFolder: setting({
    path: 'var_dir',
    env: 'VAR_DIR',
    schema: folder,
    fromText: asIs,
    default: 'var',
    about: 'The folder for what the server writes: secrets and mails of development.',
    expected: 'the path of a folder',
  }),
  accessTokenLifetimeSeconds: setting({
    path: 'tokens.access_token_lifetime',
    env: 'ACCESS_TOKEN_LIFETIME',
    schema: wholeNumber(60, DAY_SECONDS),
    fromText: asNumber,
    default: 3_600,
    about: 'Seconds that an opaque access token lives.',
    expected: seconds(60, DAY_SECONDS),
  }),
  refreshTokenIdleSeconds: setting({
    path: 'tokens.refresh_token_idle',
    env: 'REFRESH_TOKEN_IDLE',
    schema: wholeNumber(60, YEAR_SECONDS),
    fromText: asNumber,
    default: 14 * DAY_SECONDS,
    about: 'Seconds after which a refresh token that nobody used ends.',
    expected: seconds(60, YEAR_SECONDS),
  }),
  refreshTokenAbsoluteSeconds: setting({
    path: 'tokens.refresh_token_absolute',
    env: 'REFRESH_TOKEN_ABSOLUTE',
    schema: wholeNumber(60, YEAR_SECONDS),
    fromText: asNumber,
    default: 30 * DAY_SECONDS,
    about: 'Seconds after which a refresh token and all its successors end, however much they are used.',
    expected: seconds(60, YEAR_SECONDS),
  }),
  refreshRetryWindowSeconds: setting({
    path: 'tokens.refresh_retry_window',
    env: 'REFRESH_RETRY_WINDOW',
    schema: wholeNumber(0, 60),
    fromText: asNumber,
    default: 10,
    about:
      'Seconds in which a client whose answer was lost gets it again for the same refresh token; 0: none.',
    expected: seconds(0, 60),
  }),
  jwksMaxAgeSeconds: setting({
    path: 'tokens.jwks_max_age',
    env: 'JWKS_MAX_AGE',
    schema: wholeNumber(30, DAY_SECONDS),
    fromText: asNumber,
    default: 300,
    about:
      'Seconds that relying parties may keep the JWKS; a new key waits longer than this before it signs.',
    expected: seconds(30, DAY_SECONDS),
  }),
  keysPublishAheadSeconds: setting({
    path: 'keys.publish_ahead',
    env: 'KEYS_PUBLISH_AHEAD',
    schema: wholeNumber(95, 7 * DAY_SECONDS),
    fromText: asNumber,
    default: 3_600,
    about:
      'Seconds that a new signing key is published before it signs; more than relying parties keep the JWKS.',
    expected: seconds(95, 7 * DAY_SECONDS),
  }),
  keysRotationDays: setting({
    path: 'keys.rotation_interval',
    env: 'KEYS_ROTATION_INTERVAL',
    schema: wholeNumber(0, 3_650),
    fromText: asNumber,
    default: 90,
    about: 'Days after which the next signing key takes over by itself; 0: by command only.',
    expected: 'a whole number of days from 0 to 3650',
  }),
  keysAlgorithms: setting({
    path: 'keys.algorithms',
    env: 'KEYS_ALGORITHMS',
    schema: signingAlgorithms,
    fromText: (text) => asList(text.replace(/^\[(.*)\]$/, '$1')),
    default: ['RS256', 'ES256'],
    about: 'The algorithms that keys are made for and rotated: RS256, ES256 and, if wanted, EdDSA.',
    expected: 'RS256 and ES256, and EdDSA if wanted',
    example: '[RS256, ES256, EdDSA]', // good in the file and in the environment
  }),
  apiAccessTokenMinutes: setting({
    path: 'api.access_token_lifetime',
    env: 'JWT_ACCESS_TOKEN_LIFETIME',
    schema: wholeNumber(1, 1_440),
    fromText: asNumber,
    default: 60,
    about: 'Minutes that an access token of the JSON API lives.',
    expected: 'a whole number of minutes from 1 to 1440',
  }),
  apiRefreshTokenDays: setting({
    path: 'api.refresh_token_lifetime',
    env: 'JWT_REFRESH_TOKEN_LIFETIME',
    schema: wholeNumber(1, 365),
    fromText: asNumber,
    default: 30,
    about: 'Days after which a refresh token of the JSON API that nobody used ends; 1 without remember_me.',
    expected: 'a whole number of days from 1 to 365',
  }),
  sessionIdleSeconds: setting({
    path: 'sessions.idle',
    env: 'SESSION_IDLE',
    schema: wholeNumber(60, YEAR_SECONDS),
    fromText: asNumber,
    default: DAY_SECONDS,
    about: 'Seconds after which a browser session that nobody used ends.',
    expected: seconds(60, YEAR_SECONDS),
  }),
  sessionRememberedSeconds: setting({
    path: 'sessions.remembered',
    env: 'SESSION_REMEMBERED',
    schema: wholeNumber(60, YEAR_SECONDS),
    fromText: asNumber,
    default: 30 * DAY_SECONDS,
    about: 'The same for a person who asked to stay signed in.',
    expected: seconds(60, YEAR_SECONDS),
  }),
  registration: setting({
    path: 'registration.enabled',
    env: 'REGISTRATION',
    schema: onOff,
    fromText: asSwitch,
    default: 'on',
    about: 'Whether people may make accounts for themselves: on or off.',
    expected: 'on or off',
  }),
  concealsRegistration: setting({
    path: 'registration.conceal',
    env: 'REGISTRATION_CONCEAL',
    schema: onOff,
    fromText: asSwitch,
    default: 'off',
    about: 'Whether a taken name or address is told by mail alone, so that nobody learns who has an account.',
    expected: 'on or off',
  }),
  mailFrom: setting({
    path: 'mail.from',
    env: 'MAIL_FROM',
    schema: mailFrom,
    fromText: asIs,
    default: null,
    about: 'The sender of mails; unset: the brand’s name, no-reply at the issuer’s host.',
    expected: 'an address, or a name and the address in angle brackets',
    example: '"Example <no-reply@example.com>"',
  }),
  brandName: setting({
    path: 'brand.name',
    env: 'BRAND_NAME',
    schema: brandName,
    fromText: asIs,
    default: 'Portcullis',
    about: 'What pages and mails call this server.',
    expected: '1 to 40 characters, without < > " and control characters',
    example: '"Example Accounts"',
  }),
  brandAccent: setting({
    path: 'brand.accent',
    env: 'BRAND_ACCENT',
    schema: accentColour,
    fromText: asIs,
    default: '#2f5fd0',
    about: 'The colour of buttons and links, #rrggbb; dark pages use a lighter one made from it.',
    expected: 'a colour #rrggbb with a contrast of at least 4.5:1 to white (the darker the safer)',
    // In quotes, since YAML reads # as the start of a comment.
    example: '"#2f5fd0"',
  }),
  brandLogo: setting({
    path: 'brand.logo',
    env: 'BRAND_LOGO',
    schema: fileOrNone,
    fromText: asIs,
    default: 'none',
    about: 'An SVG or PNG file of at most 64 KiB that pages show in the place of our mark, or none.',
    expected: 'the path of an SVG or PNG file, or none',
    example: 'config/logo.svg',
  }),
  adminPermissions: setting({
    path: 'permissions.admin',
    env: null,
    schema: permissions,
    fromText: asList,
    default: null,
    about:
      'What administrators may do at the JSON API; unset: everything, and never less than all of admin:.',
    expected: PERMISSION_LIST,
    example: `[${PERMISSIONS.join(', ')}]`,
  }),
  userPermissions: setting({
    path: 'permissions.user',
    env: null,
    schema: permissions,
    fromText: asList,
    default: null,
    about: 'The same for users; unset: everything with what is their own, so all but admin:.',
    expected: PERMISSION_LIST,
    example: '[profile:read, sessions:read]',
  }),
  developerPermissions: setting({
    path: 'permissions.developer',
    env: null,
    schema: permissions,
    fromText: asList,
    default: null,
    about: 'The same for developers; unset: as users by default.',
    expected: PERMISSION_LIST,
    example: '[profile:read, sessions:read]',
  }),
  guestPermissions: setting({
    path: 'permissions.guest',
    env: null,
    schema: permissions,
    fromText: asList,
    default: ['profile:read', 'sessions:read', 'sessions:write'],
    about: 'The same for guests, and for whoever’s stored role there is none of.',
    expected: PERMISSION_LIST,
    example: '[profile:read, sessions:read]',
  }),
  servicePermissions: setting({
    path: 'permissions.service_account',
    env: null,
    schema: permissions,
    fromText: asList,
    default: ['profile:read'],
    about: 'The same for service accounts.',
    expected: PERMISSION_LIST,
    example: '[profile:read, sessions:read]',
  }),
  vpnAudience: setting({
    path: 'vpn.audience',
    env: 'VPN_AUDIENCE',
    schema: audience,
    fromText: asIs,
    default: 'vpn-node',
    about: 'The audience (aud) of VPN JWTs.',
    expected: '1 to 255 printable ASCII characters without spaces, other than portcullis and the issuer',
  }),
  vpnTokenLifetimeSeconds: setting({
    path: 'vpn.token_lifetime',
    env: 'VPN_TOKEN_LIFETIME',
    schema: wholeNumber(60, DAY_SECONDS),
    fromText: asNumber,
    default: 3_600,
    about: 'Seconds that a VPN JWT lives.',
    expected: seconds(60, DAY_SECONDS),
  }),
  vpnRateLimit: setting({
    path: 'vpn.rate_limit',
    env: 'VPN_RATE_LIMIT',
    schema: wholeNumber(1, 100_000),
    fromText: asNumber,
    default: 120,
    about: 'Exchanges for a VPN JWT, at /vpn/auth/ and at /token, that one node may make in a minute.',
    expected: 'a whole number from 1 to 100000',
  }),
  vpnKeyOverlapSeconds: setting({
    path: 'vpn.key_overlap',
    env: 'VPN_KEY_OVERLAP',
    schema: wholeNumber(0, 30 * DAY_SECONDS),
    fromText: asNumber,
    default: DAY_SECONDS,
    about:
      'Seconds that the key of a node goes on after its next one; with 0 its tokens and its other keys end then.',
    expected: seconds(0, 30 * DAY_SECONDS),
  }),
  vpnStatusList: setting({
    path: 'vpn.status_list',
    env: 'VPN_STATUS_LIST',
    schema: onOff,
    fromText: asSwitch,
    default: 'off',
    about: 'Status lists (Token Status List) for VPN JWTs, beside the feed of revocations: on or off.',
    expected: 'on or off',
  }),
  vpnRoles: setting({
    path: 'vpn.roles',
    env: null,
    schema: roles,
    fromText: asIs,
    default: { basic: 10, manager: 30, admin: 50 },
    about: 'The roles of people on VPN nodes, and the level of each.',
    expected:
      'a mapping of 1 to 32 role names (a-z, 0-9, _ and -, a letter first; not node, constructor or prototype) to levels, whole numbers from 1 to 1000',
    example: '{ basic: 10, admin: 50 }',
  }),
  customersAudience: setting({
    path: 'customers.audience',
    env: 'CUSTOMERS_AUDIENCE',
    schema: audience,
    fromText: asIs,
    default: 'petstore',
    about: 'The audience (aud) of customers’ tokens: the API whose gateway takes them.',
    expected:
      '1 to 255 printable ASCII characters without spaces, other than portcullis, the issuer and VPN_AUDIENCE',
  }),
  customersTokenLifetimeSeconds: setting({
    path: 'customers.token_lifetime',
    env: 'CUSTOMERS_TOKEN_LIFETIME',
    schema: wholeNumber(60, YEAR_SECONDS),
    fromText: asNumber,
    default: 3_600,
    about: 'Seconds that a customer’s token lives where nothing else is asked for.',
    expected: seconds(60, YEAR_SECONDS),
  }),
  customersMaxTokenLifetimeSeconds: setting({
    path: 'customers.max_token_lifetime',
    env: 'CUSTOMERS_MAX_TOKEN_LIFETIME',
    schema: wholeNumber(60, YEAR_SECONDS),
    fromText: asNumber,
    default: DAY_SECONDS,
    about: 'Seconds that may be asked for at most; signing keys are published as long after they signed.',
    expected: seconds(60, YEAR_SECONDS),
  }),
  customersMaxTokenBytes: setting({
    path: 'customers.max_token_size',
    env: 'CUSTOMERS_MAX_TOKEN_SIZE',
    schema: wholeNumber(1_024, 16_384),
    fromText: asNumber,
    default: 4_096,
    about: 'Bytes of a customer’s whole token at most; a customer whose token would have more is not saved.',
    expected: 'a whole number of bytes from 1024 to 16384',
  }),
  customersRevokeOnChange: setting({
    path: 'customers.revoke_on_change',
    env: 'CUSTOMERS_REVOKE_ON_CHANGE',
    schema: onOff,
    fromText: asSwitch,
    default: 'off',
    about:
      'Whether a change of what a customer may do ends the tokens from before it, at gateways that follow the feed.',
    expected: 'on or off',
  }),
  customersMetadataSchema: setting({
    path: 'customers.metadata_schema',
    env: 'CUSTOMERS_METADATA_SCHEMA',
    schema: fileOrNone,
    fromText: asIs,
    default: 'none',
    about: 'A JSON Schema (draft 2020-12) that the metadata of each customer has to meet, or none.',
    expected: 'the path of a JSON file, or none',
    example: 'config/customer-metadata.json',
  }),
  customersTiers: setting({
    path: 'customers.tiers',
    env: null,
    schema: tiers,
    fromText: asIs,
    default: {
      premium: { rate_limit: 1_000, api_access_level: 'full' },
      standard: { rate_limit: 500, api_access_level: 'standard' },
      free: { rate_limit: 100, api_access_level: 'basic' },
    },
    about: 'The types of customers, and what each may do unless its metadata says otherwise.',
    expected:
      'a mapping of 1 to 32 type names (a-z, 0-9, _ and -, a letter first) to rate_limit, a whole number from 0 to 1000000000, and api_access_level, a text of 1 to 64 characters',
    example: '{ free: { rate_limit: 100, api_access_level: basic } }',
  }),
} as const;

export type SettingName = keyof typeof SETTINGS;

/** The value of each setting; null where none was given and it follows from the others. */
export type SettingValues = {
  readonly [Name in SettingName]:
    | z.output<(typeof SETTINGS)[Name]['schema']>
    | ((typeof SETTINGS)[Name]['default'] extends null ? null : never);
};

// Object.keys is typed as string[]; SETTINGS is a literal that nothing adds to.
export const SETTING_NAMES = Object.keys(SETTINGS) as readonly SettingName[];

/** What a setting is called in faults: its name in the environment, or its path where it has none. */
export function nameOf(name: SettingName): string {
  return SETTINGS[name].env ?? SETTINGS[name].path;
}

/** The flag of a setting, such as `--database-url`. */
export function flagOf(name: SettingName): string {
  return `--${SETTINGS[name].path.replaceAll(/[._]/g, '-')}`;
}
