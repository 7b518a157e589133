/**
 * The configuration of the process: flags, environment, settings file and defaults in, `Config` and `Secrets`
 * out, or every fault at once. This file joins the steps that `config/` holds, one file each. Nothing here reads
 * the process: flags and environment are arguments.
 */
import { completeKeys, keySources } from './config/complete-keys.ts';
import { ensureDevelopmentSecrets, readDevelopmentSecrets } from './config/development-secrets.ts';
import type { ConfigFault, Source } from './config/faults.ts';
import type { SettingFlags, Sources } from './config/resolve.ts';
import type { Env } from './config/secret-sources.ts';
import type { KeyName } from './config/secret-format.ts';
import type { GivenSecrets, SecretName } from './config/secrets.ts';
import { settle } from './config/settle.ts';
import type { SettingValues } from './config/settings.ts';
import type { ListenAddress } from './config/values.ts';
import type { PermissionTable } from './permissions.ts';

/** What a program may be told by flags: a settings file, and any setting by its name. */
export type ConfigFlags = SettingFlags & { readonly config?: string | undefined };

export interface ConfigInput {
  readonly flags: ConfigFlags;
  readonly env: Env;
  /** What relative paths start from; the working folder where it is not given. */
  readonly cwd?: string;
  /** Read where neither --config nor CONFIG_FILE is given; may be absent. The package's own by default. */
  readonly defaultFile?: string;
}

/** The store as people are told of it: never with a password. */
export const storeNameOf = ({ database }: Pick<Config, 'database'>): string =>
  database.kind === 'sqlite' ? database.path : database.redactedUrl;

/** The settings that are in force. Deep readonly, free of secrets: safe to print. Paths are absolute. */
export interface Config {
  readonly environment: 'development' | 'test' | 'production';
  readonly isProduction: boolean;
  /** An origin, without a slash at its end. */
  readonly issuer: string;
  readonly host: string;
  readonly port: number;
  /** `redactedUrl` is for people; `Secrets.databaseUrl` is what opens the store. */
  readonly database:
    | { readonly kind: 'sqlite'; readonly path: string }
    | { readonly kind: 'mongodb'; readonly redactedUrl: string };
  /** How many there are, or their networks (see `networks.ts`). */
  readonly trustedProxies: number | readonly string[];
  readonly corsAllowedOrigins: readonly string[];
  /** Null: no metrics. */
  readonly metricsAddress: ListenAddress | null;
  readonly logLevel: SettingValues['logLevel'];
  readonly rateLimits: boolean;
  /** Requests in an hour. */
  readonly rateLimit: {
    readonly userPerHour: number;
    readonly adminPerHour: number;
    readonly ipPerHour: number;
    readonly authorizePerHour: number;
  };
  readonly debug: boolean;
  readonly keysFolder: string;
  readonly varFolder: string;
  readonly tokens: {
    readonly accessTokenLifetimeSeconds: number;
    readonly jwksMaxAgeSeconds: number;
    readonly refreshTokenIdleSeconds: number;
    /** Of a refresh token and all its successors. */
    readonly refreshTokenAbsoluteSeconds: number;
    /** 0: a refresh token that comes twice is always a replay. */
    readonly refreshRetryWindowSeconds: number;
  };
  /** Of signing keys. */
  readonly keys: {
    /** So long a key is published before it signs. */
    readonly publishAheadSeconds: number;
    /** Null: by command only. */
    readonly rotateEverySeconds: number | null;
    readonly algorithms: readonly string[];
  };
  /** The JSON API's own tokens. */
  readonly api: {
    readonly accessTokenSeconds: number;
    /** Where the person asked to stay signed in; a day otherwise. */
    readonly refreshTokenSeconds: number;
  };
  readonly sessions: { readonly idleSeconds: number; readonly rememberedSeconds: number };
  /** Whether people may make accounts for themselves, and learn nothing of who has one already. */
  readonly registration: { readonly isEnabled: boolean; readonly conceals: boolean };
  /** An address, or a name and the address in angle brackets. */
  readonly mail: { readonly from: string };
  /** The accent is `#rrggbb`, readable on white. The logo is a file that pages can show; null: our mark. */
  readonly brand: {
    readonly name: string;
    readonly accent: string;
    readonly logo: { readonly path: string; readonly type: 'image/svg+xml' | 'image/png' } | null;
  };
  /** Role → names of permissions (see `permissions.ts`). */
  readonly permissions: PermissionTable;
  readonly vpn: {
    readonly audience: string;
    readonly tokenLifetimeSeconds: number;
    readonly exchangesPerMinute: number;
    readonly keyOverlapSeconds: number;
    readonly hasStatusLists: boolean;
    readonly roles: Readonly<Record<string, number>>;
  };
  readonly customers: {
    readonly audience: string;
    readonly tokenLifetimeSeconds: number;
    readonly maxTokenLifetimeSeconds: number;
    readonly maxTokenBytes: number;
    /** Whether a change of what a customer may do ends the tokens from before it. */
    readonly revokesOnChange: boolean;
    /** What the metadata of each has to meet; null: nothing of the operator's own. */
    readonly metadataSchema: { readonly path: string; readonly schema: object } | null;
    /** Type → what it may do. */
    readonly tiers: SettingValues['customersTiers'];
  };
}

/** What must never be printed. */
export interface Secrets {
  /** Encrypts at rest. */
  readonly secretKey: string;
  /** The one before it, which still opens what it encrypted; null where there is none. */
  readonly previousSecretKey: string | null;
  /** Signs our own cookies and cursors. */
  readonly jwtSecretKey: string;
  /** The one before it, whose signatures are still good; null where there is none. */
  readonly previousJwtSecretKey: string | null;
  /** `sqlite:` with an absolute path, `mongodb://…` or `mongodb+srv://…`. */
  readonly databaseUrl: string;
  readonly smtpUrl: string | null;
  /** Signs test tokens of VPN nodes; null in production, and where there are none. */
  readonly vpnTestSecret: string | null;
}

/** What signs cookies and cursors: the first key signs, each is good for what it signed. */
export const signingSecretsOf = ({
  jwtSecretKey,
  previousJwtSecretKey,
}: JwtSecrets): readonly [string, ...string[]] =>
  previousJwtSecretKey === null ? [jwtSecretKey] : [jwtSecretKey, previousJwtSecretKey];

export type JwtSecrets = Pick<Secrets, 'jwtSecretKey' | 'previousJwtSecretKey'>;

export type ConfigResult =
  | {
      readonly ok: true;
      readonly config: Config;
      readonly secrets: Secrets;
      readonly sources: Sources;
      readonly warnings: readonly ConfigFault[];
    }
  | {
      readonly ok: false;
      readonly faults: readonly ConfigFault[];
      readonly warnings: readonly ConfigFault[];
    };

/** What `config print` shows; reading it changes nothing. */
export interface ConfigInspection {
  readonly config: Config;
  readonly sources: Sources;
  /** Where each secret comes from; `missing` where it does not. */
  readonly secretSources: Readonly<Record<SecretName, Source>>;
  readonly faults: readonly ConfigFault[];
  readonly warnings: readonly ConfigFault[];
}

/** Reads the configuration; in development, makes the secrets that are missing and keeps them under VAR_DIR. */
export function loadConfig(input: ConfigInput): ConfigResult {
  const { config, sources, databaseUrl, given, faults, warnings } = settle(input);
  if (faults.length > 0) return { ok: false, faults, warnings };

  const keys = completeKeys(given, () => ensureDevelopmentSecrets(config.varFolder));
  if (!keys.ok) return { ok: false, faults: [keys.fault], warnings };
  return { ok: true, config, secrets: toSecrets(keys.secrets, given, databaseUrl), sources, warnings };
}

const toSecrets = (
  keys: Readonly<Record<KeyName, string>>,
  given: GivenSecrets,
  databaseUrl: string,
): Secrets => ({
  secretKey: keys.SECRET_KEY,
  previousSecretKey: given.SECRET_KEY_PREVIOUS?.value ?? null,
  jwtSecretKey: keys.JWT_SECRET_KEY,
  previousJwtSecretKey: given.JWT_SECRET_KEY_PREVIOUS?.value ?? null,
  databaseUrl,
  smtpUrl: given.SMTP_URL?.value ?? null,
  vpnTestSecret: given.VPN_TEST_SECRET?.value ?? null,
});

/** Reads the configuration for people to look at: changes nothing, makes no secrets and gives none away. */
export function inspectConfig(input: ConfigInput): ConfigInspection {
  const { config, sources, given, faults, warnings } = settle(input);
  const kept = config.isProduction ? null : readDevelopmentSecrets(config.varFolder);
  const sourceOf = (name: SecretName): Source => given[name]?.source ?? { kind: 'missing' };
  const secretSources = {
    ...keySources(given, kept),
    SECRET_KEY_PREVIOUS: sourceOf('SECRET_KEY_PREVIOUS'),
    JWT_SECRET_KEY_PREVIOUS: sourceOf('JWT_SECRET_KEY_PREVIOUS'),
    SMTP_URL: sourceOf('SMTP_URL'),
    VPN_TEST_SECRET: sourceOf('VPN_TEST_SECRET'),
  };
  const isKeptBroken =
    kept !== null && !kept.ok && (given.SECRET_KEY === null || given.JWT_SECRET_KEY === null);
  return {
    config,
    sources,
    secretSources,
    faults: isKeptBroken ? [...faults, kept.fault] : faults,
    warnings,
  };
}
