/**
 * Enrolment of VPN nodes in the store: codes of one use, the keys that nodes register by them, their successors, and
 * taking keys away. Each change is recorded before it is made. That whoever asks possesses the key, `vpn/` sees to.
 */
import { randomBytes } from 'node:crypto';

import type { Recorder } from '../audit/entry.ts';
import { digest } from '../digest.ts';
import { AppError } from '../errors.ts';
import type { Client, ClientKey, ClientStore } from '../storage/port.ts';
import { createChangeClient } from './change.ts';
import { enrolled, liveKeys, MAX_KEYS, offered, succeeded, withoutKeys } from './node-keys.ts';
import type { Change, NewKey } from './node-keys.ts';

const CODE_BYTES = 32;
/** The client id, by which the node is found, and what nobody guesses. */
const CODE = /^(?<clientId>[A-Za-z0-9][A-Za-z0-9._-]{0,127})\.[\w-]{43}$/;

interface EnrolmentOptions {
  readonly clients: Pick<ClientStore, 'find' | 'replace'>;
  readonly record: Recorder;
  readonly now: () => number;
}

export interface EnrolmentCode {
  readonly code: string;
  readonly expiresAt: number;
}

export interface EnrolmentRegistry {
  /** Makes a code for a node that there is; an earlier one is good no more. */
  offer(clientId: string, lifetimeSeconds: number): Promise<EnrolmentCode>;
  /** Uses the code up: the key is the only thing by which the node authenticates. Null for a code that is not good. */
  enrol(code: string, key: NewKey): Promise<Client | null>;
  /** The live keys of a node, the newest first; none of anything else. */
  findKeys(clientId: string): Promise<readonly ClientKey[]>;
  /** Adds a key at the word of `signerKid`; null where that is no live key of the node. Throws `conflict`. */
  succeed(clientId: string, signerKid: string, key: NewKey, overlapSeconds: number): Promise<Client | null>;
  /** Ends keys at once, and with `isCodeEnded` the code. Throws `not_found` for a key that there is not. */
  revoke(clientId: string, kids: readonly string[], isCodeEnded: boolean): Promise<void>;
}

export function createEnrolmentRegistry({ clients, record, now }: EnrolmentOptions): EnrolmentRegistry {
  const change = createChangeClient({ clients, now });
  const recorded = (clientId: string, verb: string, details: object, edit: Edit): Promise<Client> =>
    record({ action: `vpn_node.${verb}`, target: `client:${clientId}`, details: { ...details } }, () =>
      change(clientId, edit),
    );
  const findNode = async (clientId: string): Promise<Client | null> => {
    const client = await clients.find(clientId);
    return client?.isVpnNode === true ? client : null;
  };

  return {
    offer: async (clientId, lifetimeSeconds) => {
      const code = `${clientId}.${randomBytes(CODE_BYTES).toString('base64url')}`;
      const expiresAt = now() + lifetimeSeconds;
      const details = { code_lifetime_seconds: lifetimeSeconds };
      await recorded(clientId, 'enrol_code', details, (client) => offered(client, digest(code), expiresAt));
      return { code, expiresAt };
    },
    enrol: async (code, key) => {
      const clientId = CODE.exec(code)?.groups?.['clientId'];
      const current = clientId === undefined ? null : await findNode(clientId);
      const decide = (client: Client) => enrolled(client, digest(code), key, now());
      const decision = decide(current ?? NOBODY);
      if (current === null || decision.kind === 'refused') return null;
      if (decision.kind === 'done') return current;
      const details = { kid: key.kid, alg: key.jwk['alg'], ended_secret: current.secrets.length > 0 };
      const ended = { ended_keys: liveKeys(current, now()).map(({ kid }) => kid) };
      const edit = (client: Client) => toEdit(decide(client), REFUSALS);
      return recorded(current.clientId, 'enrol', { ...details, ...ended }, edit).catch(nullWhereLost);
    },
    findKeys: async (clientId) => liveKeys((await findNode(clientId)) ?? NOBODY, now()),
    succeed: async (clientId, signerKid, key, overlapSeconds) => {
      const current = await findNode(clientId);
      const decide = (client: Client) => succeeded(client, signerKid, key, { now: now(), overlapSeconds });
      const decision = decide(current ?? NOBODY);
      if (current === null || decision.kind === 'refused') return null;
      if (toEdit(decision, REFUSALS) === null) return current;
      const details = {
        kid: key.kid,
        alg: key.jwk['alg'],
        signed_by: signerKid,
        overlap_seconds: overlapSeconds,
      };
      const edit = (client: Client) => toEdit(decide(client), REFUSALS);
      return recorded(clientId, 'add_key', details, edit).catch(nullWhereLost);
    },
    revoke: async (clientId, kids, isCodeEnded) => {
      assertKeys(await clients.find(clientId), kids);
      await recorded(clientId, 'revoke_key', { kids, ended_code: isCodeEnded }, (client) =>
        withoutKeys(client, kids, isCodeEnded),
      );
    },
  };
}

type Edit = Parameters<ReturnType<typeof createChangeClient>>[1];

/** What a code of a node that there is not is compared with: the refusal takes as long as any. */
const NOBODY: Client = {
  ...{ clientId: '', isVpnNode: true, secrets: [], scopes: [], metadata: {} },
  ...{ createdAt: 0, updatedAt: 0, version: 0 },
};

type Refusal = 'refused' | 'superseded' | 'reused' | 'full';

/** Throws where a decision is none; null where there is nothing to do. */
function toEdit(decision: Change<Refusal>, refusals: Readonly<Record<Refusal, string>>): Client | null {
  if (decision.kind === 'changed') return decision.client;
  if (decision.kind === 'done') return null;
  throw new AppError('conflict', refusals[decision.kind], { cause: decision.kind });
}

const REFUSALS: Readonly<Record<Refusal, string>> = {
  refused: 'The key or the code was used or taken away meanwhile.',
  superseded: 'A newer key of this node is there: sign the request by that one.',
  reused: 'This node has that key already: make a new one.',
  full:
    `A node has ${MAX_KEYS} keys at most: wait until an older one ends, or end one by ` +
    '`portcullis vpn-nodes update ID --revoke-key KID` (`vpn-nodes show ID` lists them).',
};

/** Somebody else was first: the answer is that of whoever comes later. */
function nullWhereLost(error: unknown): null {
  if (Error.isError(error) && error.cause === 'refused') return null;
  throw error;
}

function assertKeys(client: Client | null, kids: readonly string[]): void {
  const missing = kids.find((wanted) => !client?.keys?.some(({ kid }) => kid === wanted));
  if (missing === undefined) return;
  throw new AppError('not_found', `The node has no key "${missing}": \`vpn-nodes show\` lists its keys.`);
}
