/**
 * Enrolment of a node, which makes its own key and registers the public half by a code of one use, and the rotation of
 * that key. Whatever happens in between, the next call goes on with the same key: none is lost that the server knows.
 */
import { assertSecure } from '../guard/address.ts';
import { ask, surroundings } from './ask.ts';
import type { Answer, Question, Surroundings } from './ask.ts';
import { VpnClientError } from './errors.ts';
import { assertNoKey, prepareNodeKey, readNodeKey } from './node-key.ts';
import type { NodeAlgorithm, NodeKey, WaitingKey } from './node-key.ts';
import { signKeyProof, signRotation } from './signed.ts';

interface KeyOptions extends Partial<Surroundings> {
  /** The server, as its discovery document names it. */
  readonly issuer: string;
  /** Where the key is, or will be: a JWK, mode 0600. `FILE.next` beside it is a key that the server does not know yet. */
  readonly privateKeyFile: string;
  /** Ends the request, and whatever wait is between its attempts. */
  readonly signal?: AbortSignal | undefined;
}

export interface EnrolOptions extends KeyOptions {
  /** What `portcullis vpn-nodes enrol` printed. */
  readonly code: string;
  /** ES256, if left out. */
  readonly algorithm?: NodeAlgorithm | undefined;
  /** `/vpn/enrol` of the issuer, if left out. */
  readonly enrolUrl?: URL | undefined;
}

export interface RotateKeyOptions extends KeyOptions {
  readonly clientId: string;
  /** That of the present key, if left out. */
  readonly algorithm?: NodeAlgorithm | undefined;
  /** `/vpn/keys` of the issuer, if left out. */
  readonly keysUrl?: URL | undefined;
}

/** What the server knows of the node now. */
export interface NodeKeys {
  readonly clientId: string;
  /** Of the key in the file. */
  readonly kid: string;
  readonly algorithm: NodeAlgorithm;
  /** All that authenticate the node, the newest first; `expiresAt` in Unix seconds, null: does not expire. */
  readonly keys: readonly { readonly kid: string; readonly expiresAt: number | null }[];
}

/**
 * Makes a key, registers it, and keeps it in a new file. Rejects with a VpnClientError: `ERR_VPN_NODE_REFUSED` where the
 * code is not good, `ERR_VPN_UNAVAILABLE` where nobody answered, after which the same call goes on.
 */
export async function enrol(options: EnrolOptions): Promise<NodeKeys> {
  const { code, issuer, privateKeyFile, algorithm, enrolUrl, signal } = options;
  const url = addressOf(issuer, '/vpn/enrol', enrolUrl);
  await assertNoKey(privateKeyFile);
  const world = surroundings(options);
  const waiting = await prepareNodeKey(privateKeyFile, { algorithm, otherwise: 'ES256' });
  const question = async (): Promise<Question> => {
    const proof = await signKeyProof(waiting.key, code, { issuer, now: world.now });
    return { url, headers: JSON_BODY, body: JSON.stringify({ code, proof }) };
  };
  return kept(await ask(question, world, signal), waiting, { how: 'new', url, clientId: null });
}

/**
 * Makes another key, which the present one asks for; from then on it is the one in the file. The old one goes on for as
 * long as the server lets it, so that requests under way end well. Rejects as `enrol`; a call that failed is repeated.
 */
export async function rotateKey(options: RotateKeyOptions): Promise<NodeKeys> {
  const { clientId, issuer, privateKeyFile, algorithm, keysUrl, signal } = options;
  const url = addressOf(issuer, '/vpn/keys', keysUrl);
  const present = await readNodeKey(privateKeyFile);
  const world = surroundings(options);
  const waiting = await prepareNodeKey(privateKeyFile, { algorithm, otherwise: present.alg });
  const signing = { issuer, now: world.now };
  const askBy = (signer: NodeKey): Promise<Answer> => {
    const question = async (): Promise<Question> => {
      const request = await signRotation(signer, waiting.key, clientId, signing);
      const body = JSON.stringify({ proof: await signKeyProof(waiting.key, request, signing) });
      return { url, headers: { ...JSON_BODY, authorization: `Bearer ${request}` }, body };
    };
    return ask(question, world, signal);
  };
  let answer = await askBy(present);
  // The server may have it since an attempt whose answer got lost, and the present key may have ended since.
  if (waiting.isOld && answer.kind === 'refused' && answer.status === 401) answer = await askBy(waiting.key);
  return kept(answer, waiting, { how: 'replace', url, clientId });
}

const JSON_BODY = { accept: 'application/json', 'content-type': 'application/json' };

function addressOf(issuer: string, path: string, given: URL | undefined): URL {
  const url = given ?? new URL(path, issuer);
  assertSecure(url);
  return url;
}

/** What was asked; `clientId` of a rotation. */
interface Asked {
  readonly how: 'new' | 'replace';
  readonly url: URL;
  readonly clientId: string | null;
}

/** Keeps the key where the server took it; throws for every other answer. */
async function kept(answer: Answer, waiting: WaitingKey, asked: Asked): Promise<NodeKeys> {
  const { href } = asked.url;
  switch (answer.kind) {
    case 'given': {
      const known = toNodeKeys(answer.body);
      if (known?.kid !== waiting.key.kid) throw strange(href, 200, new Error('it names another key'));
      await waiting.keep(asked.how);
      return { ...known, algorithm: waiting.key.alg };
    }
    case 'refused': {
      const { status, error: oauthError } = answer;
      // There the same key may be taken a little later.
      if (status !== CONFLICT) await waiting.discard();
      throw new VpnClientError('ERR_VPN_NODE_REFUSED', refusalOf(answer, waiting, asked), {
        status,
        oauthError,
      });
    }
    case 'away': {
      const { status, retryAfterSeconds, cause } = answer;
      const message = `${href} cannot answer now${status === null ? '' : ` (${status})`}: try again in a moment.`;
      throw new VpnClientError('ERR_VPN_UNAVAILABLE', message, { status, retryAfterSeconds, cause });
    }
    case 'strange':
      throw strange(href, answer.status, answer.cause);
  }
}

const CONFLICT = 409;
const UNAUTHORIZED = 401;

type Refused = Extract<Answer, { readonly kind: 'refused' }>;

/** What to do about a refusal. The server does not tell those apart for whose sake it says 401. */
function refusalOf({ status, error, description }: Refused, waiting: WaitingKey, asked: Asked): string {
  const { url, clientId } = asked;
  if (status === CONFLICT) {
    return `${url.href} refuses: ${description} The new key waits in ${waiting.file}, for the next call.`;
  }
  if (status === UNAUTHORIZED && clientId !== null) {
    return (
      `${url.href} knows no such key of ${clientId} (${error}): it was revoked, or the node is gone, and an ` +
      `administrator makes a code by \`portcullis vpn-nodes enrol ${clientId}\`. Where the key is known there, the ` +
      'issuer is not exactly the server’s (PARENT_ISSUER), or the clock of this machine is wrong.'
    );
  }
  return `${url.href} refuses: ${error} (${description}).`;
}

const strange = (href: string, status: number, cause: unknown): VpnClientError =>
  new VpnClientError(
    'ERR_VPN_ANSWER_INVALID',
    `${href} does not answer as a Portcullis server does (${status}).`,
    {
      status,
      cause,
    },
  );

/** Null for whatever is no answer of the server. */
function toNodeKeys({
  client_id: clientId,
  kid,
  keys,
}: Readonly<Record<string, unknown>>): Omit<NodeKeys, 'algorithm'> | null {
  if (typeof clientId !== 'string' || typeof kid !== 'string' || !Array.isArray(keys)) return null;
  return { clientId, kid, keys: keys.map(toKey) };
}

function toKey(key: unknown): NodeKeys['keys'][number] {
  const { kid, expires_at: expiresAt } = (key ?? {}) as Readonly<Record<string, unknown>>; // of JSON
  return { kid: String(kid), expiresAt: typeof expiresAt === 'number' ? expiresAt : null };
}
