/**
 * Registering clients and VPN nodes: what is stored of them, their names and their secrets. A secret is made
 * of 256 random bits, shown once by whoever asked, and kept as its SHA-256 only.
 */
import { hash, randomBytes } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';

import { AppError } from '../errors.ts';
import type { NameSide } from '../names.ts';
import type { Client, ClientSecret, ClientStore } from '../storage/port.ts';
import type { ClientInput, VpnNodeInput } from './schema.ts';

const SECRET_BYTES = 32;
const VPN_NODE_SCOPE = 'read';
// Two administrators who change one client at once are rare; a handful of attempts settles it.
const MAX_ATTEMPTS = 10;

interface ClientRegistryOptions {
  readonly clients: ClientStore;
  /** The services' side of the register of names. */
  readonly names: NameSide;
  /** Ends what the client got for itself. */
  readonly revokeTokens: (clientId: string) => Promise<void>;
  /** The protocol engine's own judgement of the metadata: null, or why it refuses them. */
  readonly check: (client: Client) => Promise<string | null>;
  readonly now: () => number;
}

/** A client as it was saved; `secret` is there when one was made, and is never to be had again. */
export interface SavedClient {
  readonly client: Client;
  readonly secret: string | null;
}

/** What saving an input would do. `changes` names the fields, never a secret. */
export interface ClientPlan {
  readonly action: 'create' | 'update' | 'none';
  readonly changes: readonly string[];
  save(): Promise<SavedClient>;
}

export type ClientRegistry = ReturnType<typeof createClientRegistry>;

/** Makes the registry. */
export function createClientRegistry(options: ClientRegistryOptions) {
  const { clients, revokeTokens, now } = options;

  const get = async (clientId: string): Promise<Client> => {
    const found = await clients.find(clientId);
    if (found === null) throw new AppError('not_found', `There is no client "${clientId}".`);
    return found;
  };

  const change = async (clientId: string, edit: (client: Client) => Client): Promise<Client> => {
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt += 1) {
      const current = await get(clientId);
      const next = { ...edit(current), version: current.version + 1, updatedAt: now() };
      if (await clients.replace(next)) return next;
    }
    throw new AppError('conflict', `The client "${clientId}" kept changing: try again.`);
  };

  return {
    get,
    find: clients.find,
    list: clients.list,
    planClient: (input: ClientInput) => plan(fromClientInput(input), options),
    planVpnNode: (input: VpnNodeInput) => plan(fromVpnNodeInput(input), options),
    /** Gives the client a new secret; the old ones go on for `overlapSeconds`. */
    rotateSecret: async (clientId: string, overlapSeconds: number): Promise<SavedClient> => {
      const secret = makeSecret();
      const client = await change(clientId, (current) => rotated(current, secret, now() + overlapSeconds));
      return { client, secret };
    },
    delete: async (clientId: string): Promise<void> => {
      const wasThere = await clients.delete(clientId);
      await revokeTokens(clientId); // also where an earlier deletion failed in between
      if (!wasThere) throw new AppError('not_found', `There is no client "${clientId}".`);
    },
  };
}

function rotated(client: Client, secret: string, oldUntil: number): Client {
  if (client.secrets.length === 0) {
    throw new AppError(
      'invalid_request',
      `The client "${client.clientId}" authenticates by its key and has no secret.`,
    );
  }
  const [newest] = client.secrets;
  const old = newest === undefined ? [] : [{ hash: newest.hash, expiresAt: oldUntil }];
  return { ...client, secrets: [toSecret(secret), ...old] };
}

/** The part of a client that an input decides. */
type Described = Pick<Client, 'clientId' | 'isVpnNode' | 'scopes' | 'metadata'> & {
  readonly givenSecret: string | undefined;
  readonly needsSecret: boolean;
};

function fromClientInput({ client_id, client_secret, scope, ...metadata }: ClientInput): Described {
  return {
    clientId: client_id,
    isVpnNode: false,
    scopes: [...new Set(scope.split(' '))],
    metadata: { response_types: [], redirect_uris: [], ...withoutUndefined(metadata) },
    givenSecret: client_secret,
    needsSecret: metadata.token_endpoint_auth_method !== 'private_key_jwt',
  };
}

function fromVpnNodeInput({ client_id, client_secret, name, redirect_uris }: VpnNodeInput): Described {
  return {
    clientId: client_id,
    isVpnNode: true,
    scopes: [VPN_NODE_SCOPE],
    metadata: {
      response_types: [],
      redirect_uris: redirect_uris ?? [],
      grant_types: ['client_credentials'],
      token_endpoint_auth_method: 'client_secret_basic',
      ...(name !== undefined && { client_name: name }),
    },
    givenSecret: client_secret,
    needsSecret: true,
  };
}

const withoutUndefined = (metadata: object): object =>
  Object.fromEntries(Object.entries(metadata).filter(([, value]) => value !== undefined));

/** Compares the input with what is stored and tells what saving it would change. */
async function plan(described: Described, options: ClientRegistryOptions): Promise<ClientPlan> {
  const current = await options.clients.find(described.clientId);
  if (current !== null && current.isVpnNode !== described.isVpnNode) {
    throw new AppError(
      'conflict',
      `"${described.clientId}" is registered as a ${current.isVpnNode ? 'VPN node' : 'client'}: delete it first, or use another id.`,
    );
  }
  if (current === null && options.names.isReserved(described.clientId)) {
    throw new AppError(
      'conflict',
      `"${described.clientId}" is a name of this server’s own: choose another client id.`,
    );
  }
  if (current === null && (await options.names.isTaken(described.clientId)))
    throw nameTaken(described.clientId);
  const changes = current === null ? [] : differences(current, described);
  const { client, secret } = next(current, described, options.now());
  const refusal = await options.check(client);
  if (refusal !== null) throw new AppError('invalid_request', `"${described.clientId}": ${refusal}`);
  if (current !== null && changes.length === 0) {
    return { action: 'none', changes, save: async () => ({ client: current, secret: null }) };
  }
  return {
    action: current === null ? 'create' : 'update',
    changes,
    save: () => save(current, client, secret, options),
  };
}

const nameTaken = (clientId: string): AppError =>
  new AppError('conflict', `"${clientId}" is, or was, the name of an account: choose another client id.`);

async function save(
  current: Client | null,
  client: Client,
  secret: string | null,
  { clients, names }: ClientRegistryOptions,
): Promise<SavedClient> {
  const { clientId } = client;
  if (current === null) {
    if (!(await names.claim(clientId))) throw nameTaken(clientId);
    await clients.create(client);
  } else if (!(await clients.replace(client))) {
    throw new AppError('conflict', `The client "${clientId}" changed meanwhile: try again.`);
  }
  return { client, secret };
}

/** The record to store, and the secret where one had to be made. */
function next(current: Client | null, described: Described, now: number): SavedClient {
  const { clientId, isVpnNode, scopes, metadata, givenSecret, needsSecret } = described;
  const kept = current?.secrets ?? [];
  const made = needsSecret && givenSecret === undefined && kept.length === 0 ? makeSecret() : null;
  const secret = givenSecret ?? made;
  const secrets = !needsSecret ? [] : secret === null || hasSecret(kept, secret) ? kept : [toSecret(secret)];
  const client = {
    clientId,
    isVpnNode,
    secrets,
    scopes,
    metadata,
    createdAt: current?.createdAt ?? now,
    updatedAt: now,
    version: (current?.version ?? 0) + 1,
  };
  return { client, secret: made };
}

function differences(
  current: Client,
  { scopes, metadata, givenSecret, needsSecret }: Described,
): readonly string[] {
  const fields = new Set([...Object.keys(current.metadata), ...Object.keys(metadata)]);
  const changed = [...fields].filter((field) => !isDeepStrictEqual(current.metadata[field], metadata[field]));
  if (!isDeepStrictEqual([...current.scopes].sort(), [...scopes].sort())) changed.push('scope');
  const secretChanges = givenSecret !== undefined && !hasSecret(current.secrets, givenSecret);
  if (secretChanges || needsSecret !== current.secrets.length > 0) changed.push('client_secret');
  return changed;
}

const makeSecret = (): string => randomBytes(SECRET_BYTES).toString('base64url');

/** SHA-256 suffices for random secrets (ASVS 6.5.2); argon2 on the token endpoint would be a denial of service. */
const toSecret = (secret: string): ClientSecret => ({
  hash: hash('sha256', secret, 'base64url'),
  expiresAt: null,
});

/** True for a secret that is there to stay: one in its overlap, or past it, does not count. */
const hasSecret = (secrets: readonly ClientSecret[], secret: string): boolean =>
  secrets.some(({ hash: known, expiresAt }) => expiresAt === null && known === toSecret(secret).hash);
