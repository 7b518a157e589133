/** Registering clients and VPN nodes: what is stored of them, their names, and which secret they have. */
import { isDeepStrictEqual } from 'node:util';

import { AppError } from '../errors.ts';
import type { NameSide } from '../names.ts';
import type { Client, ClientStore } from '../storage/port.ts';
import { createChangeClient, noClient } from './change.ts';
import { toChange } from './fields.ts';
import { KEY_METHOD } from './node-keys.ts';
import { DEVICE_CODE, responseTypes } from './rules.ts';
import type { ClientInput, VpnNodeInput } from './schema.ts';
import { assertNotReplaced, findSecret, makeSecret, rotated, toSecret } from './secrets.ts';

const VPN_NODE_SCOPE = 'read';
const VPN_PEOPLE_SCOPES = ['openid', 'profile', 'email'];

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
  /** What those fields are and will be; null before a new client. */
  readonly before: object | null;
  readonly after: object;
  save(): Promise<SavedClient>;
}

export type ClientRegistry = ReturnType<typeof createClientRegistry>;

/** Makes the registry. */
export function createClientRegistry(options: ClientRegistryOptions) {
  const { clients, revokeTokens, now } = options;

  const get = async (clientId: string): Promise<Client> => {
    const found = await clients.find(clientId);
    if (found === null) throw noClient(clientId);
    return found;
  };
  const change = createChangeClient(options);

  return {
    get,
    find: clients.find,
    list: clients.list,
    planClient: (input: ClientInput) => plan(fromClientInput(input), options),
    planVpnNode: async (input: VpnNodeInput) =>
      plan(fromVpnNodeInput(input, await clients.find(input.client_id)), options),
    /** Gives the client a new secret; the old ones go on for `overlapSeconds`. */
    rotateSecret: async (clientId: string, overlapSeconds: number): Promise<SavedClient> => {
      const secret = makeSecret();
      const client = await change(clientId, (current) => rotated(current, secret, now() + overlapSeconds));
      return { client, secret };
    },
    delete: async (clientId: string): Promise<void> => {
      const wasThere = await clients.delete(clientId);
      await revokeTokens(clientId); // also where an earlier deletion failed in between
      if (!wasThere) throw noClient(clientId);
    },
  };
}

/** The part of a client that an input decides. */
type Described = Pick<Client, 'clientId' | 'isVpnNode' | 'scopes' | 'metadata'> & {
  readonly givenSecret: string | undefined;
  readonly needsSecret: boolean;
};

function fromClientInput({ client_id, client_secret, scope, ...metadata }: ClientInput): Described {
  const { token_endpoint_auth_method: method, grant_types } = metadata;
  return {
    clientId: client_id,
    isVpnNode: false,
    scopes: scope === '' ? [] : [...new Set(scope.split(' '))],
    metadata: {
      response_types: responseTypes(grant_types),
      redirect_uris: [],
      ...withoutUndefined(metadata),
    },
    givenSecret: client_secret,
    needsSecret: method !== 'private_key_jwt' && method !== 'none',
  };
}

/**
 * A node's people sign in at it by code, where it has an address to send the code to, or by what they type on another
 * device. How it authenticates stays where the input says nothing of it: a node that registered a key keeps it.
 */
function fromVpnNodeInput(input: VpnNodeInput, current: Client | null): Described {
  const { client_id, client_secret, name, redirect_uris = [], post_logout_redirect_uris } = input;
  const { device_sign_in = false, token_endpoint_auth_method: wanted } = input;
  const method = wanted ?? current?.metadata['token_endpoint_auth_method'] ?? 'client_secret_basic';
  if (method === KEY_METHOD && client_secret !== undefined) throw hasKeyInstead(client_id);
  const hasBrowser = redirect_uris.length > 0;
  const hasPeople = hasBrowser || device_sign_in;
  const grant_types = [
    'client_credentials',
    ...(hasBrowser ? ['authorization_code'] : []),
    ...(hasPeople ? ['refresh_token', DEVICE_CODE] : []),
  ];
  return {
    clientId: client_id,
    isVpnNode: true,
    scopes: hasPeople ? [VPN_NODE_SCOPE, ...VPN_PEOPLE_SCOPES] : [VPN_NODE_SCOPE],
    metadata: {
      response_types: responseTypes(grant_types),
      redirect_uris,
      grant_types,
      token_endpoint_auth_method: method,
      ...withoutUndefined({ client_name: name, post_logout_redirect_uris }),
    },
    givenSecret: client_secret,
    needsSecret: method !== KEY_METHOD,
  };
}

const hasKeyInstead = (clientId: string): AppError =>
  new AppError(
    'conflict',
    `"${clientId}" authenticates by a key of its own and has no client_secret: leave it out, or go back to a secret ` +
      'by token_endpoint_auth_method client_secret_basic.',
  );

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
  if (current === null) await assertFree(described.clientId, options);
  else assertNotReplaced(current, described.givenSecret, options.now());
  const changes = current === null ? [] : differences(current, described);
  const { client, secret } = next(current, described, options.now());
  const refusal = await options.check(client);
  if (refusal !== null) throw new AppError('invalid_request', `"${described.clientId}": ${refusal}`);
  const change = { changes, ...toChange(current, client, changes) };
  if (current !== null && changes.length === 0) {
    return { action: 'none', ...change, save: async () => ({ client: current, secret: null }) };
  }
  return {
    action: current === null ? 'create' : 'update',
    ...change,
    save: () => save(current, client, secret, options),
  };
}

/** Throws where no new client may be called so. Names fold: two that differ in case would be one to people and logs. */
async function assertFree(clientId: string, { clients, names }: ClientRegistryOptions): Promise<void> {
  if (names.isReserved(clientId)) {
    throw new AppError('conflict', `"${clientId}" is a name of this server’s own: choose another client id.`);
  }
  if (await names.isTaken(clientId)) throw nameTaken(clientId);
  const spelling = await clients.findSpelling(clientId);
  if (spelling !== null && spelling !== clientId) {
    throw new AppError(
      'conflict',
      `"${clientId}" differs from "${spelling}", which is registered, in upper and lower case only: choose another client id.`,
    );
  }
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
  const secrets = !needsSecret ? [] : secret === null || findSecret(kept, secret) ? kept : [toSecret(secret)];
  const client = {
    clientId,
    isVpnNode,
    secrets,
    // Who goes back to a secret leaves the keys behind.
    ...(current !== null && (!needsSecret || current.keys === undefined) && ownKeys(current)),
    scopes,
    metadata,
    createdAt: current?.createdAt ?? now,
    updatedAt: now,
    version: (current?.version ?? 0) + 1,
  };
  return { client, secret: made };
}

/** What the node itself registered, and its code: no input speaks of them. */
const ownKeys = ({ keys, enrolment }: Client): Pick<Client, 'keys' | 'enrolment'> => ({
  ...(keys !== undefined && { keys }),
  ...(enrolment !== undefined && { enrolment }),
});

function differences(
  current: Client,
  { scopes, metadata, givenSecret, needsSecret }: Described,
): readonly string[] {
  const fields = new Set([...Object.keys(current.metadata), ...Object.keys(metadata)]);
  const changed = [...fields].filter((field) => !isDeepStrictEqual(current.metadata[field], metadata[field]));
  if (!isDeepStrictEqual([...current.scopes].sort(), [...scopes].sort())) changed.push('scope');
  const secretChanges = givenSecret !== undefined && !findSecret(current.secrets, givenSecret);
  if (secretChanges || needsSecret !== current.secrets.length > 0) changed.push('client_secret');
  return changed;
}
