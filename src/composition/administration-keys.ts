/** The signing keys as an administrator sees and changes them, each change with its audit record. */
import type { Recorder } from '../audit/entry.ts';
import type { Config } from '../config.ts';
import { toInstant } from '../instant.ts';
import { createKeyCommands, readNamedKey } from '../keys/key-commands.ts';
import type { KeyCommands, Turn } from '../keys/key-commands.ts';
import { toPrivatePem, toPublicJwk, toPublicPem } from '../keys/material.ts';
import type { PublicJwk } from '../keys/material.ts';
import type { Retirement } from '../keys/retirement.ts';
import type { KeyState, RotationKey, Standing } from '../keys/rotation.ts';
import type { Sealer } from '../keys/sealer.ts';
import type { Storage } from '../storage/port.ts';
import { keyPolicyOf } from './key-policy.ts';
import { resourceServersOf, toLeftView, toRetirementView } from './key-retirement.ts';
import type { RetiredView, RetirementView } from './key-retirement.ts';

export type { RetiredView, RetirementView } from './key-retirement.ts';

/** Times as text (RFC 3339). */
export interface KeyView {
  readonly kid: string;
  readonly alg: string;
  readonly state: KeyState;
  readonly published_at: string;
  /** Null: it waits for its turn. */
  readonly signs_from: string | null;
  readonly since: string;
  readonly until: string | null;
}

export interface KeyListView {
  readonly items: readonly KeyView[];
  /** When the next key takes over, by algorithm; null where nothing but a command does it. */
  readonly next_rotation: Readonly<Record<string, string | null>>;
}

export interface TurnView {
  readonly alg: string;
  readonly kid: string;
  readonly signs_from: string;
  readonly done: 'scheduled' | 'already scheduled';
}

export interface ExportedKey {
  readonly kid: string;
  readonly alg: string;
  readonly pem: string;
  readonly jwk: PublicJwk;
}

export interface KeyAdministration {
  list(): Promise<KeyListView>;
  /** Of one algorithm, or of all. */
  rotate(alg: string | null): Promise<readonly TurnView[]>;
  /** What `retire` would do; throws what it would refuse. */
  previewRetirement(kid: string, isEmergency: boolean): Promise<RetirementView>;
  retire(kid: string, isEmergency: boolean): Promise<RetiredView>;
  import(pem: string, source: string, kid: string): Promise<KeyView>;
  create(alg: string): Promise<KeyView>;
  exportPublic(kid: string): Promise<ExportedKey>;
  /** PKCS #8. */
  exportPrivate(kid: string): Promise<string>;
}

interface KeyAdministrationOptions {
  readonly config: Config;
  readonly storage: Pick<Storage, 'signingKeys' | 'resourceServers'>;
  readonly sealer: Sealer;
  readonly record: Recorder;
  readonly now: () => number;
}

export function createKeyAdministration(options: KeyAdministrationOptions): KeyAdministration {
  const { config, storage, sealer, record, now } = options;
  const policy = keyPolicyOf(config);
  const keys = createKeyCommands({ store: storage.signingKeys, sealer, policy, now });
  const viewOf = async (end: Retirement): Promise<RetirementView> =>
    toRetirementView(end, config, policy, await resourceServersOf(end, storage));

  return {
    list: async () => toListView(await keys.list()),
    rotate: async (alg) => {
      const change = { action: 'keys.rotate', target: null, details: { alg } };
      return (await record(change, () => keys.rotate(alg))).map(toTurnView);
    },
    previewRetirement: async (kid, isEmergency) => viewOf(await keys.previewRetirement(kid, isEmergency)),
    retire: async (kid, isEmergency) => {
      const { ended } = await keys.previewRetirement(kid, isEmergency); // a refusal is no change
      const details = { alg: ended.key.alg, state: ended.state, emergency: isEmergency };
      const change = { action: 'keys.retire', target: targetOf(kid), details };
      const retired = await record(change, () => keys.retire(kid, isEmergency));
      return { ...(await viewOf(retired)), ...toLeftView(retired) };
    },
    import: async (pem, source, kid) => {
      const key = readNamedKey(pem, source, kid);
      const change = { action: 'keys.import', target: targetOf(kid), details: { alg: key.alg } };
      return toView(await record(change, () => keys.import(key)));
    },
    create: async (alg) => {
      const change = { action: 'keys.create', target: null, details: { alg } };
      return toView(await record(change, () => keys.create(alg)));
    },
    ...createExports(keys, record),
  };
}

const createExports = (
  keys: Pick<KeyCommands, 'open'>,
  record: Recorder,
): Pick<KeyAdministration, 'exportPublic' | 'exportPrivate'> => ({
  exportPublic: async (kid) => {
    const jwk = await keys.open(kid);
    return { kid, alg: jwk.alg ?? '', pem: toPublicPem(jwk), jwk: toPublicJwk(jwk) };
  },
  exportPrivate: async (kid) => {
    const jwk = await keys.open(kid);
    const change = { action: 'keys.export', target: targetOf(kid), details: {} };
    return record(change, async () => toPrivatePem(jwk));
  },
});

const targetOf = (kid: string): string => `key:${kid}`;

const toView = ({ key, state, since, until }: Standing<RotationKey>): KeyView => ({
  kid: key.kid,
  alg: key.alg,
  state,
  published_at: toInstant(key.createdAt),
  signs_from: key.signsFrom === null ? null : toInstant(key.signsFrom),
  since: toInstant(since),
  until: until === null ? null : toInstant(until),
});

function toListView(standings: readonly Standing<RotationKey>[]): KeyListView {
  const items = standings.map(toView);
  const active = items.filter(({ state }) => state === 'active');
  return { items, next_rotation: Object.fromEntries(active.map(({ alg, until }) => [alg, until])) };
}

const toTurnView = ({ alg, kid, signsFrom, isNews }: Turn): TurnView => ({
  alg,
  kid,
  signs_from: toInstant(signsFrom),
  done: isNews ? 'scheduled' : 'already scheduled',
});
