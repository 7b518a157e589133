/** Declaring resource servers (RFC 8707): the APIs that access tokens are made for. */
import { isDeepStrictEqual } from 'node:util';

import { z } from 'zod';

import { AppError } from '../errors.ts';
import type { NameSide } from '../names.ts';
import { SERVER_SCOPES } from '../scopes.ts';
import type { ResourceServer, ResourceServerStore } from '../storage/port.ts';

const MIN_HS256_SECRET = 32;
const MIN_DISTINCT = 12;
const MIN_LIFETIME_SECONDS = 60;
/** The most that any resource server may ask its tokens to live. */
export const MAX_LIFETIME_SECONDS = 86_400;
const Word = z
  .string()
  .regex(/^[!#-[\]-~]{1,100}$/, '1 to 100 printable characters without spaces, quotes and backslashes');

/** A scope of this server would open the API to whoever holds it for something else, such as every VPN node. */
const ApiScope = Word.refine(
  (scope) => !SERVER_SCOPES.some((own) => own === scope),
  'a scope of the API itself, such as "invoices:read"; openid, read, admin and the like are this server’s own',
);

/** Long is not enough: a text of few different characters is guessed. */
const SharedSecret = z
  .string()
  .min(MIN_HS256_SECRET, 'at least 32 bytes, such as: openssl rand -base64 32')
  .max(500)
  .refine(
    (secret) => new Set(secret).size >= MIN_DISTINCT,
    'random characters, such as: openssl rand -base64 32',
  );

export const ResourceServerInput = z
  .strictObject({
    identifier: z
      .string()
      .max(500)
      .refine(
        (uri) => URL.canParse(uri) && !uri.includes('#'),
        'an absolute URI without a fragment (RFC 8707 2)',
      ),
    audience: Word,
    signing_alg: z.enum(['RS256', 'ES256', 'EdDSA', 'HS256']).default('RS256'),
    secret: SharedSecret.optional(),
    scopes: z.array(ApiScope).min(1, 'the scopes that clients may be registered for, at least one').max(200),
    access_token_lifetime: z.int().min(MIN_LIFETIME_SECONDS).max(MAX_LIFETIME_SECONDS).default(3600),
    roles: z.record(Word, z.int().min(0).max(1_000)).default({}),
    default_role: Word.optional(),
  })
  .refine((server) => (server.signing_alg === 'HS256') === (server.secret !== undefined), {
    path: ['secret'],
    message: 'the shared secret of a resource server that uses HS256, and of no other',
  })
  .refine((server) => server.default_role === undefined || Object.hasOwn(server.roles, server.default_role), {
    path: ['default_role'],
    message: 'one of the roles above',
  });

export type ResourceServerInput = z.infer<typeof ResourceServerInput>;

interface ResourceServerRegistryOptions {
  readonly resourceServers: ResourceServerStore;
  /** The services' side of the register of names. */
  readonly names: NameSide;
  readonly seal: (secret: string, identifier: string) => string;
  readonly open: (sealed: string, identifier: string) => string;
  /** Whether there is a signing key for an algorithm that not every server has one for. */
  readonly hasKey: (alg: string) => Promise<boolean>;
}

/** What saving an input would do. */
export interface ResourceServerPlan {
  readonly action: 'create' | 'update' | 'none';
  readonly changes: readonly string[];
  /** What those fields are and will be, without the secret; null before a new one. */
  readonly before: object | null;
  readonly after: object;
  save(): Promise<ResourceServer>;
}

export type ResourceServerRegistry = ReturnType<typeof createResourceServerRegistry>;

/** Compares an input with what is stored; saving claims the audience as a name. */
export function createResourceServerRegistry(options: ResourceServerRegistryOptions) {
  return {
    plan: async (input: ResourceServerInput): Promise<ResourceServerPlan> => {
      const { names, resourceServers } = options;
      if (names.isReserved(input.audience)) {
        throw new AppError('conflict', `audience: "${input.audience}" is this server's own: choose another.`);
      }
      if (names.isReserved(input.identifier)) {
        throw new AppError(
          'conflict',
          `identifier: "${input.identifier}" is this server's own: choose another.`,
        );
      }
      const current = await resourceServers.find(input.identifier);
      const holder = await resourceServers.findByAudience(input.audience);
      if (holder !== null && holder.identifier !== input.identifier) {
        throw new AppError('conflict', `audience: "${input.audience}" is that of ${holder.identifier}.`);
      }
      if (await names.isTaken(input.audience)) throw nameTaken(input.audience);
      if (input.signing_alg === 'EdDSA' && !(await options.hasKey('EdDSA'))) throw noKey('EdDSA');
      const changes = current === null ? [] : differences(current, input, options);
      const action = current === null ? 'create' : changes.length > 0 ? 'update' : 'none';
      return {
        action,
        changes,
        ...toChange(current, described(input), changes),
        save: () => (action === 'none' && current ? Promise.resolve(current) : save(input, options)),
      };
    },
  };
}

const nameTaken = (audience: string): AppError =>
  new AppError('conflict', `audience: "${audience}" is, or was, the name of an account.`);

const noKey = (alg: string): AppError =>
  new AppError(
    'conflict',
    `signing_alg: no key signs by ${alg} here. Make one by \`portcullis keys create --alg ${alg}\`, or add ${alg} to KEYS_ALGORITHMS.`,
  );

async function save(
  input: ResourceServerInput,
  options: ResourceServerRegistryOptions,
): Promise<ResourceServer> {
  const { names, resourceServers, seal } = options;
  if (!(await names.claim(input.audience))) throw nameTaken(input.audience);
  const sealedSecret = input.secret === undefined ? null : seal(input.secret, input.identifier);
  const resourceServer = { ...described(input), sealedSecret };
  await resourceServers.put(resourceServer);
  return resourceServer;
}

function differences(
  current: ResourceServer,
  input: ResourceServerInput,
  { open }: ResourceServerRegistryOptions,
): readonly string[] {
  const { sealedSecret, ...stored } = current;
  const wanted: Record<string, unknown> = described(input);
  const changed = Object.entries(stored).filter(([field, value]) => !isDeepStrictEqual(value, wanted[field]));
  const secret = sealedSecret === null ? undefined : openOrNull(() => open(sealedSecret, current.identifier));
  return [...changed.map(([field]) => field), ...(secret === input.secret ? [] : ['secret'])];
}

/** A secret under a SECRET_KEY that is gone opens for nobody: the one that is given takes its place. */
function openOrNull(open: () => string): string | null {
  try {
    return open();
  } catch {
    return null;
  }
}

function toChange(
  current: ResourceServer | null,
  next: object,
  changes: readonly string[],
): Pick<ResourceServerPlan, 'before' | 'after'> {
  if (current === null) return { before: null, after: next };
  const { sealedSecret: _sealed, ...before } = current;
  const named = (fields: object): object =>
    Object.fromEntries(Object.entries(fields).filter(([field]) => changes.includes(field)));
  const secret = changes.includes('secret') ? { has_new_secret: true } : {};
  return { before: named(before), after: { ...named(next), ...secret } };
}

const described = (input: ResourceServerInput): Omit<ResourceServer, 'sealedSecret'> => ({
  identifier: input.identifier,
  audience: input.audience,
  signingAlg: input.signing_alg,
  scopes: input.scopes,
  accessTokenLifetime: input.access_token_lifetime,
  roles: input.roles,
  defaultRole: input.default_role ?? null,
});
