/**
 * The protocol engine's adapter over the storage port. It stores digests in the place of ids, and it makes
 * "once" hold: the engine reads `consumed` and then calls `consume()`, so the compare-and-set happens here,
 * and whoever loses it is refused.
 */
import { errors, Provider } from 'oidc-provider';
import type { Adapter, AdapterFactory, AdapterPayload } from 'oidc-provider';

import { digest } from '../digest.ts';
import { FIRST_PARTY_CLIENT } from '../names.ts';
import type { Artifact, ArtifactStore, ClientStore, CounterStore, StoredArtifact } from '../storage/port.ts';
import { findBuiltInClient } from './built-in-client.ts';
import { toEngineClient } from './clients.ts';
import { artifactId } from './digest.ts';
import { revokeGrant } from './revocation.ts';
import { translated } from './store-errors.ts';

/** Seconds since the epoch; for what the engine keeps without an end, the year 9999. */
const NEVER = 253_402_300_799;
/** Marks an id that already is a digest: a record found by another key than its id can be changed, not found, by it. */
const REFERENCE = '#';
// RFC 8628 3.5: a device asks every 5 s; one that asks twice within less is told to slow down.
const POLL_SECONDS = 4;

interface AdapterOptions {
  readonly artifacts: ArtifactStore;
  readonly clients: ClientStore;
  readonly counters: CounterStore;
  readonly now: () => number;
}

/** Makes the factory that the engine asks for an adapter per model. */
export function createAdapterFactory(options: AdapterOptions): AdapterFactory {
  return (model) => {
    if (model === 'Client') return createClientAdapter(options);
    const adapter = createArtifactAdapter(model, options);
    return model === 'DeviceCode' ? forDevices(adapter, model, options) : adapter;
  };
}

/** The person's pages go on with a code that they found by what the person typed; a device asks by its own code. */
const forDevices = (
  adapter: Adapter,
  model: string,
  { artifacts, counters, now }: AdapterOptions,
): Adapter => ({
  ...adapter,
  find: async (id) => {
    const route = Provider.ctx?.oidc.route;
    if (id.startsWith(REFERENCE) && (route === 'device_resume' || route === 'code_verification')) {
      const found = await translated(artifacts.find(model, toStoredId(model, id), now()));
      return found === null ? undefined : toPayload(found, id);
    }
    const found = await adapter.find(id);
    if (found === undefined || route !== 'token') return found;
    const key = `device:${toStoredId(model, id)}`;
    const { count } = await translated(counters.hit(key, POLL_SECONDS, now()));
    if (count > 1) throw new errors.SlowDown();
    return found;
  },
});

function createArtifactAdapter(model: string, { artifacts, now }: AdapterOptions): Adapter {
  const findBy = async (key: 'uid' | 'userCode', value: string) => {
    const found = await translated(artifacts.findBy(model, key, digest(value), now()));
    return found === null ? undefined : toPayload(found, found.payload['reference']);
  };

  return {
    upsert: async (id, payload, expiresIn) => {
      const artifact = toArtifact(model, id, payload, expiresIn === undefined ? NEVER : now() + expiresIn);
      if (model !== 'ReplayDetection') return translated(artifacts.upsert(artifact));
      if (await translated(artifacts.insert(artifact, now()))) return;
      throw new errors.InvalidClientAuth('the assertion was used by a simultaneous request');
    },
    find: async (id) => {
      if (id.startsWith(REFERENCE)) return undefined;
      const found = await translated(artifacts.find(model, artifactId(model, id), now()));
      return found === null ? undefined : toPayload(found, id);
    },
    findByUid: (uid) => findBy('uid', uid),
    findByUserCode: (userCode) => findBy('userCode', userCode),
    consume: async (id) => {
      const storedId = toStoredId(model, id);
      if (await translated(artifacts.consume(model, storedId, now()))) return;
      await revokeGrantOf(model, storedId);
      throw new errors.InvalidGrant('it was used by a simultaneous request');
    },
    destroy: (id) => translated(artifacts.destroy(model, toStoredId(model, id))),
    revokeByGrantId: (grantId) => translated(artifacts.revokeGrant(grantId)),
  };

  /** Somebody used it first: what that gave is revoked as for any replay (RFC 6749 4.1.2, RFC 9700 4.14.2). */
  async function revokeGrantOf(replayed: string, storedId: string): Promise<void> {
    const found = await translated(artifacts.find(replayed, storedId, now()));
    const grantId = found?.payload['grantId'];
    if (typeof grantId === 'string') await translated(revokeGrant(artifacts, grantId));
  }
}

function createClientAdapter({ clients, now }: Pick<AdapterOptions, 'clients' | 'now'>): Adapter {
  const readOnly = async (): Promise<never> => {
    throw new Error('clients are changed by the command line and the admin API, never by the engine');
  };
  const none = async (): Promise<undefined> => undefined;
  return {
    find: async (clientId) => {
      if (clientId === FIRST_PARTY_CLIENT) return findBuiltInClient();
      const client = await translated(clients.find(clientId));
      return client === null ? undefined : toEngineClient(client, now());
    },
    upsert: readOnly,
    destroy: readOnly,
    consume: readOnly,
    findByUid: none,
    findByUserCode: none,
    revokeByGrantId: none,
  };
}

const toStoredId = (model: string, id: string): string =>
  id.startsWith(REFERENCE) ? id.slice(REFERENCE.length) : artifactId(model, id);

/**
 * What a client got for itself, and what people granted it, stands under the client as under a grant: deleting the
 * client ends all of it, also for one that gets its id later.
 */
export const clientGrantId = (clientId: string): string => `client:${clientId}`;

const grantOfClient = (model: string, { clientId }: AdapterPayload): string | undefined =>
  (model === 'ClientCredentials' || model === 'Grant') && clientId !== undefined
    ? clientGrantId(clientId)
    : undefined;

/** What is found by another key than its id, or in a list, has to be named without it. */
const isReferredTo = (model: string, { uid, userCode }: AdapterPayload): boolean =>
  uid !== undefined || userCode !== undefined || model === 'RefreshToken';

/** `jti` is the token itself, so it is left out of what is stored; that of a grant is none, and names it. */
function toArtifact(model: string, id: string, payload: AdapterPayload, expiresAt: number): Artifact {
  const { jti, ...kept } = payload;
  const storedId = toStoredId(model, id);
  const { accountId, uid, userCode } = payload;
  // An interaction only names the grant that it goes on with; it outlives the logout of the account before.
  const grantId = model === 'Interaction' ? undefined : (payload.grantId ?? grantOfClient(model, payload));
  return {
    model,
    id: storedId,
    payload: {
      ...kept,
      ...(isReferredTo(model, payload) && { reference: REFERENCE + storedId }),
      ...(model === 'Grant' && { selfId: id }),
    },
    expiresAt: Math.ceil(expiresAt), // an assertion's exp may be a fraction (RFC 7519 2)
    ...(grantId !== undefined && { grantId }),
    ...(accountId !== undefined && { accountId }),
    ...(uid !== undefined && { uid: digest(uid) }),
    ...(userCode !== undefined && { userCode: digest(userCode) }),
  };
}

function toPayload({ payload, expiresAt, consumedAt }: StoredArtifact, jti: unknown): AdapterPayload {
  // What toArtifact() took from the engine goes back to it as it was; but a session may have been prolonged.
  return {
    ...payload,
    jti: jti as string,
    ...(consumedAt !== null && { consumed: consumedAt }),
    ...(payload['kind'] === 'Session' && { exp: expiresAt }),
  };
}
