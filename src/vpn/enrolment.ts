/**
 * Enrolment of a node without a secret that both sides know: by a code of one use it registers a key of its own, and by
 * that key the next one. Here is what is checked of whoever asks; `clients/` decides what becomes of the node.
 */
import { AppError } from '../errors.ts';
import type { Client, ClientKey } from '../storage/port.ts';
import { readRotationRequest, verifyKeyProof, verifyRotationRequest } from './key-proof.ts';
import type { ProofOptions, ProvenKey } from './key-proof.ts';
import { tellingRefusals } from './refusals.ts';
import type { Asking, Refusal } from './refusals.ts';

export interface EnrolmentRequest extends Asking {
  readonly code: string;
  readonly proof: string;
}

export interface RotationAsked extends Asking {
  /** Signed by the present key. */
  readonly bearer: string;
  /** Of the new one. */
  readonly proof: string;
}

/** The keys of nodes in the store, with the records of one request. */
export interface NodeKeys {
  enrol(code: string, key: ProvenKey): Promise<Client | null>;
  findKeys(clientId: string): Promise<readonly ClientKey[]>;
  succeed(
    clientId: string,
    signerKid: string,
    key: ProvenKey,
    overlapSeconds: number,
  ): Promise<Client | null>;
}

export interface NodeEnrolmentOptions extends ProofOptions {
  /** How long a key goes on after its successor came. */
  readonly overlapSeconds: number;
  readonly keysFor: (clientId: string, asking: Asking) => NodeKeys;
  /** True for one caller, ever: what was signed is not sent twice. */
  readonly useOnce: (jti: string, expiresAt: number) => Promise<boolean>;
  readonly events: {
    nodeEnrolled(event: NodeKeyEvent): void;
    nodeKeyAdded(event: NodeKeyEvent): void;
    nodeKeyRefused(refusal: Refusal): void;
  };
}

export interface NodeKeyEvent {
  readonly requestId: string;
  readonly clientId: string;
  readonly kid: string;
}

/** What the node is told: its name, and its keys. */
export interface NodeKeysAnswer {
  readonly client_id: string;
  /** Of the key that it has now. */
  readonly kid: string;
  readonly keys: readonly { readonly kid: string; readonly expires_at: number | null }[];
}

export interface NodeEnrolment {
  /** Throws `invalid_request` for a proof or a code that is not good. */
  enrol(request: EnrolmentRequest): Promise<NodeKeysAnswer>;
  /** Throws `invalid_token` for a request that no live key of a node signed, `invalid_request` and `conflict`. */
  rotate(request: RotationAsked): Promise<NodeKeysAnswer>;
}

export function createNodeEnrolment(options: NodeEnrolmentOptions): NodeEnrolment {
  const { events } = options;
  const told = tellingRefusals((refusal) => events.nodeKeyRefused(refusal));
  return {
    enrol: ({ code, proof, ...asking }) =>
      told(asking, undefined, async () => {
        // The proof first: whether it is good tells nothing of the code.
        const key = await verifyKeyProof(proof, code, options);
        const client = await options.keysFor(codeOwner(code), asking).enrol(code, key);
        if (client === null) throw new AppError('invalid_request', BAD_CODE);
        events.nodeEnrolled({ requestId: asking.requestId, clientId: client.clientId, kid: key.kid });
        return toAnswer(client, key, options.now());
      }),
    rotate: async ({ bearer, proof, ...asking }) => {
      const { clientId, kid } = readRotationRequest(bearer) ?? NOBODY;
      const keys = options.keysFor(clientId, asking);
      const live = await keys.findKeys(clientId);
      const signer = live.find((key) => key.kid === kid);
      // Whoever names no key of a node is nobody, whatever they call themselves.
      return told(asking, signer && clientId, async () => {
        if (signer === undefined) throw badRequest();
        const client = await rotate({ clientId, signer, live, bearer, proof }, keys, options);
        events.nodeKeyAdded({ requestId: asking.requestId, clientId, kid: client.kid });
        return client;
      });
    },
  };
}

const BAD_CODE =
  'code: unknown, used or expired. An administrator makes a new one by portcullis vpn-nodes enrol.';

/** Whom the record of an enrolment names: the node that the code is for. */
const codeOwner = (code: string): string => code.slice(0, Math.max(0, code.lastIndexOf('.')));

const NOBODY = { clientId: '', kid: '' };

interface Rotating {
  readonly clientId: string;
  /** What the node has, and which of it signed the request. */
  readonly live: readonly ClientKey[];
  readonly signer: ClientKey;
  readonly bearer: string;
  readonly proof: string;
}

async function rotate(
  { clientId, signer, live, bearer, proof }: Rotating,
  keys: NodeKeys,
  options: NodeEnrolmentOptions,
): Promise<NodeKeysAnswer> {
  const request = await verifyRotationRequest(bearer, clientId, signer, options);
  if (request === null) throw badRequest();
  const key = await verifyKeyProof(proof, bearer, options);
  if (key.kid !== request.wantedKid) {
    throw new AppError('invalid_request', 'proof: its key is not the one that cnf.jkt of the request names.');
  }
  // A node whose answer got lost asks again, and is told the same. Anything else is done once: a key that was taken
  // away does not come back by a request that somebody kept.
  const isNew = live[0]?.kid !== key.kid;
  if (isNew && !(await options.useOnce(`${clientId} ${request.jti}`, request.expiresAt))) throw badRequest();
  const client = await keys.succeed(clientId, signer.kid, key, options.overlapSeconds);
  if (client === null) throw badRequest();
  return toAnswer(client, key, options.now());
}

const badRequest = (): AppError =>
  new AppError(
    'invalid_token',
    'Send as bearer what a key of the node signed for this, and send it once: see POST /vpn/keys in the documentation.',
  );

const toAnswer = ({ clientId, keys = [] }: Client, { kid }: ProvenKey, now: number): NodeKeysAnswer => ({
  client_id: clientId,
  kid,
  keys: keys
    .filter(({ expiresAt }) => expiresAt === null || expiresAt > now)
    .map(({ kid: of, expiresAt }) => ({ kid: of, expires_at: expiresAt })),
});
