/**
 * `portcullis config`: what settings are in force and where each comes from, and the JSON Schema of the settings
 * file. Neither changes anything or shows a secret.
 */
import type { Command } from 'commander';

import { inspectConfig } from '../config.ts';
import type { Config, ConfigInspection } from '../config.ts';
import { settingsFileSchema } from '../config/file-schema.ts';
import { describeFault, describeFaults, describeSource } from '../config/faults.ts';
import { SETTINGS, SETTING_NAMES } from '../config/settings.ts';
import type { SettingName } from '../config/settings.ts';
import { addConfigFlags, configFlags } from './config-flags.ts';
import { EXIT, printJson } from './io.ts';
import type { Io } from './io.ts';
import { formatTable } from './table.ts';

/** Adds `config print` and `config schema`. */
export function registerConfigCommands(program: Command, io: Io): void {
  const config = program
    .command('config')
    .description('show the settings in force, or what the settings file may hold');

  addConfigFlags(config.command('print'))
    .description('print the settings in force and where each comes from; secrets are not shown')
    .option('--json', 'print one JSON document')
    .addHelpText('after', '\nExample:\n  ISSUER=https://auth.example.com portcullis config print')
    .action((options: { json?: true }, command: Command) => {
      const inspection = inspectConfig({ flags: configFlags(command), env: io.env, cwd: io.cwd });
      if (options.json === true) printJson(io, toDocument(inspection));
      else printText(io, inspection);
      if (inspection.faults.length > 0) io.setExitCode(EXIT.failed);
    });

  config
    .command('schema')
    .description('print the JSON Schema of the settings file, for editors')
    .option('--json', 'print one JSON document (it always does)')
    .addHelpText('after', '\nExample:\n  portcullis config schema > portcullis.schema.json')
    .action(() => {
      printJson(io, settingsFileSchema());
    });
}

function printText(io: Io, { config, sources, secretSources, faults, warnings }: ConfigInspection): void {
  const values = effectiveValues(config);
  const settings = SETTING_NAMES.map((name) => [
    SETTINGS[name].path,
    showValue(values[name]),
    describeSource(sources[name]),
  ]);
  const secrets = Object.entries(secretSources).map(([name, source]) => [
    name,
    source.kind === 'missing' ? 'missing' : `set (from ${describeSource(source)})`,
  ]);
  io.out(
    `${formatTable(['SETTING', 'VALUE', 'SOURCE'], settings)}\n${formatTable(['SECRET', 'STATE'], secrets)}`,
  );
  for (const warning of warnings) io.err(`warning: ${describeFault(warning)}\n`);
  if (faults.length > 0) io.err(`${describeFaults(faults)}\n`);
}

function toDocument({ config, sources, secretSources, faults, warnings }: ConfigInspection): object {
  const values = effectiveValues(config);
  const settings = SETTING_NAMES.map((name) => {
    const { path, env } = SETTINGS[name];
    return [path, { value: values[name], source: describeSource(sources[name]), env }] as const;
  });
  const secrets = Object.entries(secretSources).map(([name, source]) => {
    const isSet = source.kind !== 'missing';
    return [name, isSet ? { set: true, source: describeSource(source) } : { set: false }] as const;
  });
  return {
    settings: Object.fromEntries(settings),
    secrets: Object.fromEntries(secrets),
    faults: faults.map(describeFault),
    warnings: warnings.map(describeFault),
  };
}

/** Each setting's value as the settings file would write it. */
function effectiveValues(config: Config): Readonly<Record<SettingName, unknown>> {
  const { database, metricsAddress: metrics, rateLimit, tokens, sessions, registration } = config;
  const { mail, brand, permissions, vpn } = config;
  return {
    environment: config.environment,
    issuer: config.issuer,
    host: config.host,
    port: config.port,
    databaseUrl: database.kind === 'sqlite' ? `sqlite:${database.path}` : database.redactedUrl,
    trustProxy: config.trustedProxies,
    corsAllowedOrigins: config.corsAllowedOrigins,
    metricsAddress: metrics === null ? 'off' : `${bracket(metrics.host)}:${metrics.port}`,
    logLevel: config.logLevel,
    rateLimits: config.rateLimits ? 'on' : 'off',
    userRateLimit: rateLimit.userPerHour,
    adminRateLimit: rateLimit.adminPerHour,
    ipRateLimit: rateLimit.ipPerHour,
    authorizeRateLimit: rateLimit.authorizePerHour,
    debug: config.debug,
    keysFolder: config.keysFolder,
    varFolder: config.varFolder,
    accessTokenLifetimeSeconds: tokens.accessTokenLifetimeSeconds,
    refreshTokenIdleSeconds: tokens.refreshTokenIdleSeconds,
    refreshTokenAbsoluteSeconds: tokens.refreshTokenAbsoluteSeconds,
    refreshRetryWindowSeconds: tokens.refreshRetryWindowSeconds,
    jwksMaxAgeSeconds: tokens.jwksMaxAgeSeconds,
    keysPublishAheadSeconds: config.keys.publishAheadSeconds,
    keysRotationDays: (config.keys.rotateEverySeconds ?? 0) / 86_400,
    keysAlgorithms: config.keys.algorithms,
    apiAccessTokenMinutes: config.api.accessTokenSeconds / 60,
    apiRefreshTokenDays: config.api.refreshTokenSeconds / 86_400,
    sessionIdleSeconds: sessions.idleSeconds,
    sessionRememberedSeconds: sessions.rememberedSeconds,
    registration: registration.isEnabled ? 'on' : 'off',
    concealsRegistration: registration.conceals ? 'on' : 'off',
    mailFrom: mail.from,
    brandName: brand.name,
    brandAccent: brand.accent,
    brandLogo: brand.logo?.path ?? 'none',
    adminPermissions: permissions.admin,
    userPermissions: permissions.user,
    developerPermissions: permissions.developer,
    guestPermissions: permissions.guest,
    servicePermissions: permissions.service_account,
    vpnAudience: vpn.audience,
    vpnTokenLifetimeSeconds: vpn.tokenLifetimeSeconds,
    vpnRateLimit: vpn.exchangesPerMinute,
    vpnKeyOverlapSeconds: vpn.keyOverlapSeconds,
    vpnStatusList: vpn.hasStatusLists ? 'on' : 'off',
    vpnRoles: vpn.roles,
    ...customerValues(config),
  };
}

const customerValues = ({ customers }: Config) => ({
  customersAudience: customers.audience,
  customersTokenLifetimeSeconds: customers.tokenLifetimeSeconds,
  customersMaxTokenLifetimeSeconds: customers.maxTokenLifetimeSeconds,
  customersMaxTokenBytes: customers.maxTokenBytes,
  customersRevokeOnChange: customers.revokesOnChange ? 'on' : 'off',
  customersMetadataSchema: customers.metadataSchema?.path ?? 'none',
  customersTiers: Object.fromEntries(
    Object.entries(customers.tiers).map(([name, { rateLimit, apiAccessLevel }]) => [
      name,
      { rate_limit: rateLimit, api_access_level: apiAccessLevel },
    ]),
  ),
});

function bracket(host: string): string {
  return host.includes(':') ? `[${host}]` : host;
}

function showValue(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}
