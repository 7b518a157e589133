/**
 * All that stands in the store encrypted under SECRET_KEY: whether it opens, which key it needs, and how it is sealed
 * anew after SECRET_KEY was replaced. That goes place by place, each by compare-and-set, so that servers which open both
 * may run meanwhile, and whoever is interrupted begins again.
 */
import { CHAIN_KEY, readChainKey } from '../audit/chain-key.ts';
import type { Recorder } from '../audit/entry.ts';
import { AppError } from '../errors.ts';
import { assertSealedBy } from '../keys/keystore.ts';
import type { Sealer } from '../keys/sealer.ts';
import type { ResourceServer, Storage } from '../storage/port.ts';

const PAGE = 500;
// Each lost race means that somebody else changed that place just then, so a handful always suffices.
const MAX_ATTEMPTS = 20;

/** How much there is of each kind. */
export interface SealedCounts {
  readonly signingKeys: number;
  /** Shared secrets of resource servers with HS256. */
  readonly resourceServers: number;
  /** The key of the audit log: one, or none. */
  readonly auditKeys: number;
}

export type SealedStores = Pick<Storage, 'signingKeys' | 'resourceServers' | 'sealedSecrets'>;

/**
 * The key of the audit log, made on a new store. Throws a sentence, and makes nothing, where the store was made under
 * another SECRET_KEY.
 */
export async function unlock(stores: SealedStores, sealer: Sealer): Promise<string> {
  assertSealedBy(await stores.signingKeys.read(), sealer);
  return readChainKey({ ...stores, sealer });
}

/** What was found when everything was opened. */
interface Opened {
  readonly chainKey: string;
  /** How much needs the previous key. */
  readonly previous: SealedCounts;
}

/** As `unlock`; it opens all that there is, and throws a sentence where something does not open. */
export async function openEverything(stores: SealedStores, sealer: Sealer): Promise<Opened> {
  const set = await stores.signingKeys.read();
  assertSealedBy(set, sealer);
  const ofResourceServers: string[] = [];
  for await (const { identifier, sealedSecret } of allResourceServers(stores)) {
    if (sealedSecret === null) continue;
    assertOpens(identifier, sealedSecret, sealer);
    ofResourceServers.push(sealedSecret);
  }
  const chainKey = await readChainKey({ ...stores, sealer });
  const auditKey = await stores.sealedSecrets.find(CHAIN_KEY);
  const count = (sealed: readonly (string | null)[]): number =>
    sealed.filter((text) => text !== null && sealer.needsPrevious(text)).length;
  const previous = {
    signingKeys: count(set?.keys.map(({ sealedJwk }) => sealedJwk) ?? []),
    resourceServers: count(ofResourceServers),
    auditKeys: count([auditKey]),
  };
  return { chainKey, previous };
}

async function* allResourceServers({ resourceServers }: SealedStores): AsyncGenerator<ResourceServer> {
  for (let after: string | null | undefined; after !== null;) {
    const page = await resourceServers.list({ after, limit: PAGE });
    yield* page.items;
    after = page.next;
  }
}

function assertOpens(identifier: string, sealedSecret: string, sealer: Sealer): void {
  try {
    sealer.open(sealedSecret, identifier);
  } catch (cause) {
    throw new Error(
      `The secret of the resource server ${identifier} in the store does not open with this SECRET_KEY; nothing was changed. ` +
        'Set SECRET_KEY_PREVIOUS to the SECRET_KEY before it and run `portcullis keys reencrypt`, ' +
        'or give that resource server its secret anew by `portcullis apply`.',
      { cause },
    );
  }
}

/** What was sealed anew, and what needs the previous key still, since somebody sealed it meanwhile. */
export interface Reencryption {
  readonly resealed: SealedCounts;
  readonly remaining: SealedCounts;
}

/** Seals under the present SECRET_KEY what needs the previous one. Done before, it finds nothing to do. */
export async function reencrypt(
  stores: SealedStores,
  sealer: Sealer,
  record: Recorder,
): Promise<Reencryption> {
  const { previous } = await openEverything(stores, sealer);
  if (countAll(previous) === 0) return { resealed: previous, remaining: previous };
  const change = { action: 'secrets.reencrypt', target: null, details: { ...previous } };
  const resealed = await record(change, async () => ({
    signingKeys: await resealSigningKeys(stores, sealer),
    resourceServers: await resealResourceServers(stores, sealer),
    auditKeys: await resealAuditKey(stores, sealer),
  }));
  return { resealed, remaining: (await openEverything(stores, sealer)).previous };
}

export const countAll = ({ signingKeys, resourceServers, auditKeys }: SealedCounts): number =>
  signingKeys + resourceServers + auditKeys;

const resealed = (sealed: string, context: string, sealer: Sealer): string =>
  sealer.needsPrevious(sealed) ? sealer.seal(sealer.open(sealed, context), context) : sealed;

/** Tries until nobody comes between; `attempt` gives null where somebody did. */
async function untilWritten(what: string, attempt: () => Promise<number | null>): Promise<number> {
  for (let attempts = 0; attempts < MAX_ATTEMPTS; attempts += 1) {
    const count = await attempt();
    if (count !== null) return count;
  }
  throw new AppError('conflict', `${what} kept changing meanwhile: run this again, it goes on where it was.`);
}

const resealSigningKeys = ({ signingKeys }: SealedStores, sealer: Sealer): Promise<number> =>
  untilWritten('The set of signing keys', async () => {
    const set = await signingKeys.read();
    const old = set?.keys.filter(({ sealedJwk }) => sealer.needsPrevious(sealedJwk)) ?? [];
    if (set === null || old.length === 0) return 0;
    const keys = set.keys.map((key) => ({ ...key, sealedJwk: resealed(key.sealedJwk, key.kid, sealer) }));
    const { version, ...rest } = set;
    return (await signingKeys.write(version, { ...rest, keys })) ? old.length : null;
  });

async function resealResourceServers(stores: SealedStores, sealer: Sealer): Promise<number> {
  let count = 0;
  for await (const { identifier } of allResourceServers(stores)) {
    count += await resealResourceServer(identifier, stores, sealer);
  }
  return count;
}

const resealResourceServer = (
  identifier: string,
  { resourceServers }: SealedStores,
  sealer: Sealer,
): Promise<number> =>
  untilWritten(`The resource server ${identifier}`, async () => {
    const found = await resourceServers.find(identifier);
    const sealed = found?.sealedSecret ?? null;
    if (found === null || sealed === null || !sealer.needsPrevious(sealed)) return 0;
    const next = { ...found, sealedSecret: resealed(sealed, identifier, sealer) };
    return (await resourceServers.replace(found, next)) ? 1 : null;
  });

const resealAuditKey = ({ sealedSecrets }: SealedStores, sealer: Sealer): Promise<number> =>
  untilWritten('The key of the audit log', async () => {
    const sealed = await sealedSecrets.find(CHAIN_KEY);
    if (sealed === null || !sealer.needsPrevious(sealed)) return 0;
    return (await sealedSecrets.replace(CHAIN_KEY, sealed, resealed(sealed, CHAIN_KEY, sealer))) ? 1 : null;
  });
