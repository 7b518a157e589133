/**
 * What settings must be to each other, wherever the server runs, and what is allowed but worth a warning. What
 * production alone refuses is in `production.ts`.
 */
import type { Config } from '../config.ts';
import type { ConfigFault } from './faults.ts';
import { permissionConflicts } from './permission-rules.ts';
import { settingFault } from './refusals.ts';
import type { Sources } from './resolve.ts';
import type { Env } from './secret-sources.ts';
import { isOurDebug, nameOf } from './settings.ts';
import { isLoopbackHost } from './values.ts';

// The audience of this server's own API: a VPN JWT must never be taken for one of its tokens.
const OWN_AUDIENCE = 'portcullis';

// An instance reads the key set anew within 5 s, and the clocks of two may be a minute apart.
const KEY_MARGIN_SECONDS = 65;

/** The faults of settings that do not go together. */
export function conflicts(config: Config, sources: Sources): readonly ConfigFault[] {
  const { vpn, customers, issuer, metricsAddress, port } = config;
  const faults: ConfigFault[] = [];
  if (vpn.audience === OWN_AUDIENCE || vpn.audience === issuer) {
    const remedy = 'Choose another name, such as vpn-node.';
    const found = `found "${vpn.audience}", which means this server itself`;
    faults.push(settingFault('vpnAudience', sources.vpnAudience, found, 'an audience of its own', remedy));
  }
  if ([OWN_AUDIENCE, issuer, vpn.audience].includes(customers.audience)) {
    const remedy = 'Choose another name, such as petstore.';
    const found = `found "${customers.audience}", which means this server itself, or its VPN nodes`;
    const { customersAudience: source } = sources;
    faults.push(settingFault('customersAudience', source, found, 'an audience of its own', remedy));
  }
  if (metricsAddress !== null && port !== 0 && metricsAddress.port === port) {
    const found = `found port ${port}, where the server itself listens`;
    const remedy = 'Choose another port, or set METRICS_ADDRESS=off.';
    faults.push(settingFault('metricsAddress', sources.metricsAddress, found, 'a port of its own', remedy));
  }
  return [
    ...faults,
    ...publishConflicts(config, sources),
    ...lifetimeConflicts(config, sources),
    ...permissionConflicts(config, sources),
  ];
}

/** A key that signs while somebody keeps a JWKS without it makes tokens that are refused. */
function publishConflicts({ keys, tokens }: Config, sources: Sources): readonly ConfigFault[] {
  const least = tokens.jwksMaxAgeSeconds + KEY_MARGIN_SECONDS;
  if (keys.publishAheadSeconds >= least) return [];
  const found = `found ${keys.publishAheadSeconds}`;
  const expected = `at least JWKS_MAX_AGE, which is ${tokens.jwksMaxAgeSeconds}, and ${KEY_MARGIN_SECONDS} more`;
  const remedy = `Set KEYS_PUBLISH_AHEAD=${least}, for example, or lower JWKS_MAX_AGE.`;
  const name = 'keysPublishAheadSeconds';
  return [settingFault(name, sources[name], found, expected, remedy)];
}

/** An end that comes before the idle one would make the idle one mean nothing. */
function lifetimeConflicts(
  { tokens, sessions, customers }: Config,
  sources: Sources,
): readonly ConfigFault[] {
  const pairs = [
    {
      short: ['refreshTokenIdleSeconds', tokens.refreshTokenIdleSeconds],
      long: ['refreshTokenAbsoluteSeconds', tokens.refreshTokenAbsoluteSeconds],
    },
    {
      short: ['sessionIdleSeconds', sessions.idleSeconds],
      long: ['sessionRememberedSeconds', sessions.rememberedSeconds],
    },
    {
      short: ['customersTokenLifetimeSeconds', customers.tokenLifetimeSeconds],
      long: ['customersMaxTokenLifetimeSeconds', customers.maxTokenLifetimeSeconds],
    },
  ] as const;
  return pairs
    .filter(({ short, long }) => long[1] < short[1])
    .map(({ short, long }) => {
      const least = `at least ${nameOf(short[0])}, which is ${short[1]}`;
      const remedy = `Set ${nameOf(long[0])}=${short[1]}, for example, or lower ${nameOf(short[0])}.`;
      return settingFault(long[0], sources[long[0]], `found ${long[1]}`, least, remedy);
    });
}

/** What is allowed but may surprise. */
export function warnings(config: Config, sources: Sources, env: Env): readonly ConfigFault[] {
  return config.isProduction
    ? productionWarnings(config, sources)
    : developmentWarnings(config, sources, env);
}

function productionWarnings({ trustedProxies }: Config, sources: Sources): readonly ConfigFault[] {
  const faults: ConfigFault[] = [];
  if (trustedProxies === 0) {
    const found = 'found 0, so behind a TLS proxy every refusal is logged with the proxy’s address';
    const remedy =
      'Set TRUST_PROXY=1 where one proxy stands before this server, or to the networks of its proxies.';
    faults.push(
      settingFault(
        'trustProxy',
        sources.trustProxy,
        found,
        'the number of proxies, or their networks',
        remedy,
      ),
    );
  }
  return faults;
}

function developmentWarnings({ issuer }: Config, sources: Sources, env: Env): readonly ConfigFault[] {
  const faults: ConfigFault[] = [];
  if (!isLoopbackHost(new URL(issuer).hostname)) {
    const found = `found development rules for ${issuer}, which is not a loopback host`;
    const remedy = 'Set NODE_ENV=production before anybody else uses this server.';
    faults.push(settingFault('environment', sources.environment, found, 'production for it', remedy));
  }
  if (!isOurDebug(env['DEBUG'] ?? '')) {
    const found = 'found namespaces of the npm package debug, which Portcullis itself ignores';
    const source = { kind: 'environment', name: 'DEBUG' } as const;
    const remedy = 'Set DEBUG=true for detailed errors, or leave it where the namespaces are meant.';
    faults.push(settingFault('debug', source, found, 'true or false', remedy));
  }
  return faults;
}
