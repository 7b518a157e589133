/**
 * Settles the configuration without changing anything: reads every source, derives what was not given, and
 * gathers all faults and warnings. What it gives is complete also where there are faults, so that each is told.
 */
import { isIP } from 'node:net';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import type { Config, ConfigInput } from '../config.ts';
import { OWN_PERMISSIONS, PERMISSIONS } from '../permissions.ts';
import type { PermissionTable } from '../permissions.ts';
import type { ConfigFault } from './faults.ts';
import { inspectLogo, logoFaults } from './logo.ts';
import { explainProduction, fileFaults, settingFaults } from './production.ts';
import { inspectMetadataSchema, metadataSchemaFaults } from './metadata-schema.ts';
import { redactUrl, showValue } from './redact.ts';
import { resolveSettings } from './resolve.ts';
import type { Resolved, Sources } from './resolve.ts';
import { conflicts, warnings } from './rules.ts';
import type { Env } from './secret-sources.ts';
import { missingSecretFaults, NO_MAIL, readSecrets, weakSecretFaults } from './secrets.ts';
import type { GivenSecrets } from './secrets.ts';
import { readSettingsFile } from './settings-file.ts';
import { testSecretFaults } from './test-secret.ts';
import type { SettingsFile } from './settings-file.ts';
import type { SettingValues } from './settings.ts';
import { isLoopbackHost, mailFrom } from './values.ts';
import type { Database } from './values.ts';

const SHIPPED_FILE = fileURLToPath(new URL('../../config/portcullis.yaml', import.meta.url));

interface Settled {
  readonly config: Config;
  readonly sources: Sources;
  readonly databaseUrl: string;
  readonly given: GivenSecrets;
  readonly faults: readonly ConfigFault[];
  readonly warnings: readonly ConfigFault[];
}

/** Reads and checks everything. */
export function settle(input: ConfigInput): Settled {
  const { flags, env, cwd = '' } = input;
  const file = settingsFileOf(input, cwd);
  const resolved = resolveSettings(flags, env, cwd, file);
  const { given, faults: unreadable } = readSecrets(env, cwd);
  const database = absolute(resolved.values.databaseUrl, cwd);
  const { brandLogo } = resolved.values;
  const logo = brandLogo === null ? null : inspectLogo(path.resolve(cwd, brandLogo));
  const { customersMetadataSchema } = resolved.values;
  const schema =
    customersMetadataSchema === null
      ? null
      : inspectMetadataSchema(path.resolve(cwd, customersMetadataSchema));
  const config = {
    ...toConfig(resolved, database, logo !== null && 'type' in logo ? logo : null, cwd),
    customers: toCustomers(resolved.values, schema !== null && 'schema' in schema ? schema : null),
  };

  const told = [...file.faults, ...resolved.faults, ...unreadable];
  // A variable that was refused has its default for now: what that breaks is no news.
  const isNews = ({ variable }: ConfigFault): boolean =>
    !told.some((fault) => fault.variable === variable || fault.variable === `${variable}_FILE`);
  const found = [
    ...conflicts(config, resolved.sources),
    ...logoFaults(logo, resolved.sources.brandLogo),
    ...metadataSchemaFaults(schema, resolved.sources.customersMetadataSchema),
    ...productionFaults(config, resolved, given, env),
    ...(config.isProduction ? [] : testSecretFaults(given.VPN_TEST_SECRET, keysOf(given), false)),
  ];
  const weak = config.isProduction ? [] : weakSecretFaults(given, 'development');
  const silence = config.isProduction && given.SMTP_URL === null ? [NO_MAIL] : [];
  return {
    config,
    sources: resolved.sources,
    databaseUrl: database.kind === 'sqlite' ? `sqlite:${database.path}` : database.url,
    given,
    faults: [...told, ...found.filter(isNews)],
    warnings: [...warnings(config, resolved.sources, env), ...weak, ...silence].filter(isNews),
  };
}

const keysOf = ({ VPN_TEST_SECRET: _itself, ...keys }: GivenSecrets) => Object.values(keys);

function settingsFileOf({ flags, env, defaultFile = SHIPPED_FILE }: ConfigInput, cwd: string): SettingsFile {
  const named = flags.config ?? env['CONFIG_FILE'] ?? '';
  return named === ''
    ? readSettingsFile(defaultFile, true)
    : readSettingsFile(path.resolve(cwd, named), false);
}

function productionFaults(
  config: Config,
  { sources, issuerText, values }: Resolved,
  given: GivenSecrets,
  env: Env,
): readonly ConfigFault[] {
  if (!config.isProduction) return [];
  const secretSources = [
    sources.databaseUrl,
    ...Object.values(given).flatMap((secret) => secret?.source ?? []),
  ];
  const faults = [
    ...settingFaults(config, sources, env, given.SMTP_URL !== null),
    ...missingSecretFaults(given),
    ...weakSecretFaults(given, 'production'),
    ...testSecretFaults(given.VPN_TEST_SECRET, keysOf(given), true),
    ...fileFaults(config.keysFolder, secretSources),
  ];
  return values.environment === null ? explainProduction(faults, showValue(issuerText)) : faults;
}

function toConfig(
  { values, issuerText }: Resolved,
  database: Database,
  logo: Config['brand']['logo'],
  cwd: string,
): Omit<Config, 'customers'> {
  const issuer = values.issuer ?? `http://localhost:${values.port}`;
  const environment =
    values.environment ?? (isOnThisMachine(issuerText ?? issuer) ? 'development' : 'production');
  const isProduction = environment === 'production';
  return {
    environment,
    isProduction,
    issuer,
    // In development nobody else shall reach it; in production a proxy on another host or in another container must.
    host: values.host ?? (isProduction ? '0.0.0.0' : '127.0.0.1'),
    port: values.port,
    database:
      database.kind === 'sqlite' ? database : { kind: 'mongodb', redactedUrl: redactUrl(database.url) },
    trustedProxies: values.trustProxy,
    corsAllowedOrigins: values.corsAllowedOrigins,
    metricsAddress: values.metricsAddress.address,
    logLevel: values.logLevel,
    rateLimits: values.rateLimits,
    rateLimit: {
      userPerHour: values.userRateLimit,
      adminPerHour: values.adminRateLimit,
      ipPerHour: values.ipRateLimit,
      authorizePerHour: values.authorizeRateLimit,
    },
    debug: values.debug,
    keysFolder: path.resolve(cwd, values.keysFolder),
    varFolder: path.resolve(cwd, values.varFolder),
    tokens: toTokens(values),
    keys: {
      publishAheadSeconds: values.keysPublishAheadSeconds,
      rotateEverySeconds: values.keysRotationDays === 0 ? null : values.keysRotationDays * 86_400,
      algorithms: values.keysAlgorithms,
    },
    api: {
      accessTokenSeconds: values.apiAccessTokenMinutes * 60,
      refreshTokenSeconds: values.apiRefreshTokenDays * 86_400,
    },
    sessions: {
      idleSeconds: values.sessionIdleSeconds,
      rememberedSeconds: values.sessionRememberedSeconds,
    },
    registration: { isEnabled: values.registration, conceals: values.concealsRegistration },
    mail: { from: values.mailFrom ?? senderAt(issuer, values.brandName) },
    brand: { name: values.brandName, accent: values.brandAccent, logo },
    permissions: toPermissions(values),
    vpn: {
      audience: values.vpnAudience,
      tokenLifetimeSeconds: values.vpnTokenLifetimeSeconds,
      exchangesPerMinute: values.vpnRateLimit,
      keyOverlapSeconds: values.vpnKeyOverlapSeconds,
      hasStatusLists: values.vpnStatusList,
      roles: values.vpnRoles,
    },
  };
}

const toCustomers = (
  values: SettingValues,
  metadataSchema: Config['customers']['metadataSchema'],
): Config['customers'] => ({
  audience: values.customersAudience,
  tokenLifetimeSeconds: values.customersTokenLifetimeSeconds,
  maxTokenLifetimeSeconds: values.customersMaxTokenLifetimeSeconds,
  maxTokenBytes: values.customersMaxTokenBytes,
  revokesOnChange: values.customersRevokeOnChange,
  metadataSchema,
  tiers: values.customersTiers,
});

const toTokens = (values: SettingValues): Config['tokens'] => ({
  accessTokenLifetimeSeconds: values.accessTokenLifetimeSeconds,
  jwksMaxAgeSeconds: values.jwksMaxAgeSeconds,
  refreshTokenIdleSeconds: values.refreshTokenIdleSeconds,
  refreshTokenAbsoluteSeconds: values.refreshTokenAbsoluteSeconds,
  refreshRetryWindowSeconds: values.refreshRetryWindowSeconds,
});

const toPermissions = (values: SettingValues): PermissionTable => ({
  admin: values.adminPermissions ?? PERMISSIONS,
  user: values.userPermissions ?? OWN_PERMISSIONS,
  developer: values.developerPermissions ?? OWN_PERMISSIONS,
  guest: values.guestPermissions,
  service_account: values.servicePermissions,
});

function absolute(database: Database, cwd: string): Database {
  if (database.kind === 'mongodb') return database;
  return { kind: 'sqlite', path: path.resolve(cwd, database.path) };
}

/** Mail servers take no bare IP address for a domain. A name that a header would read as syntax is left out. */
function senderAt(issuer: string, name: string): string {
  const { hostname } = new URL(issuer);
  const isNumeric = isIP(hostname) !== 0 || hostname.startsWith('[');
  const sender = `${name} <no-reply@${isNumeric ? 'localhost' : hostname}>`;
  return mailFrom.safeParse(sender).success ? sender : sender.slice(name.length + 2, -1);
}

/** Whether an issuer, also one that will be refused, is a loopback address; what has no host is not. */
function isOnThisMachine(issuer: string): boolean {
  const url = /^https?:\/\//i.test(issuer) ? issuer : `http://${issuer}`;
  return URL.canParse(url) && isLoopbackHost(new URL(url).hostname);
}
