/**
 * The exchange: what a VPN node has, for the VPN JWT (RFC 9068) that other nodes check by our JWKS. Two ways lead here,
 * POST /vpn/auth by the node's own access token and RFC 8693 by its credentials; what is checked of the node and of the
 * person, counted, issued and told is the same for both.
 */
import { AppError } from '../errors.ts';
import type { Account } from '../storage/port.ts';
import { assertNode, assertRate, assertScope, getNodeToken } from './admission.ts';
import type { AdmissionOptions } from './admission.ts';
import { VPN_SCOPE } from './claims.ts';
import type { VpnClaims, VpnClaimsMaker } from './claims.ts';
import { tellingRefusals } from './refusals.ts';
import type { Asking, Refusal } from './refusals.ts';
import type { Settle } from './settling.ts';
import type { Place } from './status-places.ts';

/** RFC 8693 3: what was issued is an access token in the form of a JWT. */
const ISSUED_TOKEN_TYPE = 'urn:ietf:params:oauth:token-type:access_token';

/** What may stand for a person (RFC 8693 3). */
const SUBJECT_KINDS: ReadonlyMap<string, SubjectKind> = new Map([
  ['urn:ietf:params:oauth:token-type:id_token', 'id_token'],
  ['urn:ietf:params:oauth:token-type:access_token', 'access_token'],
]);

export type SubjectKind = 'id_token' | 'access_token';

/** A token of the person on whose behalf the node asks, as it was sent. */
export interface SubjectToken {
  readonly token: string;
  readonly type: string;
}

export interface VpnTokenAnswer {
  readonly access_token: string;
  readonly token_type: 'Bearer';
  readonly expires_in: number;
  readonly scope: string;
  readonly issued_token_type: string;
}

/** A VPN JWT that was issued. */
export interface VpnTokenIssued {
  readonly requestId: string;
  readonly clientId: string;
  /** Null: for the node itself. */
  readonly accountId: string | null;
  /** By which grant of the token endpoint; null at /vpn/auth, which is none. */
  readonly grantType: string | null;
  readonly jti: string;
}

export interface VpnExchangeOptions extends AdmissionOptions {
  readonly claims: VpnClaimsMaker;
  readonly lifetimeSeconds: number;
  /** Whom a live token of that kind stands for, which was issued to that node; null for any other value. */
  readonly findSubject: (kind: SubjectKind, value: string, clientId: string) => Promise<Account | null>;
  readonly settle: Settle;
  readonly place: Place;
  /** Signs an RFC 9068 JWT by RS256. */
  readonly sign: (claims: VpnClaims) => Promise<string>;
  readonly events: {
    vpnTokenIssued(event: VpnTokenIssued): void;
    vpnTokenRefused(refusal: Refusal): void;
  };
}

export interface BearerExchange extends Asking {
  readonly bearer: string;
  /** Null: for the node itself. */
  readonly subject: SubjectToken | null;
}

export interface ClientExchange extends Asking {
  /** The node, which the token endpoint authenticated. */
  readonly clientId: string;
  readonly subject: SubjectToken;
  readonly grantType: string;
}

/** Both throw `invalid_request` for a bad subject token, `unauthorized_client` and `too_many_requests`. */
export interface VpnExchange {
  /** By the node's access token; throws `invalid_token` and `insufficient_scope`, too. */
  byBearer(request: BearerExchange): Promise<VpnTokenAnswer>;
  /** By the node's credentials (RFC 8693). */
  byClient(request: ClientExchange): Promise<VpnTokenAnswer>;
}

/** Makes the exchange. */
export function createVpnExchange(options: VpnExchangeOptions): VpnExchange {
  const told = tellingRefusals((refusal) => options.events.vpnTokenRefused(refusal));
  return {
    byBearer: async ({ bearer, subject, ...asking }) => {
      const node = await told(asking, undefined, () => getNodeToken(bearer, options));
      return told(asking, node.clientId, async () => {
        await assertNode(node.clientId, options);
        assertScope(node.scopes);
        return issue({ ...asking, clientId: node.clientId, subject, grantType: null }, options);
      });
    },
    byClient: ({ clientId, subject, grantType, ...asking }) =>
      told(asking, clientId, async () => {
        await assertNode(clientId, options);
        return issue({ ...asking, clientId, subject, grantType }, options);
      }),
  };
}

interface Issuing extends Asking {
  readonly clientId: string;
  readonly subject: SubjectToken | null;
  readonly grantType: string | null;
}

async function issue(
  { requestId, clientId, subject, grantType }: Issuing,
  options: VpnExchangeOptions,
): Promise<VpnTokenAnswer> {
  await assertRate(clientId, options);
  const { claims: make, sign, events, lifetimeSeconds, settle, place } = options;
  const read = async (at: number) => {
    await assertNode(clientId, options); // it was a moment ago; now it is as of the time of issue
    const account = subject === null ? null : await getSubject(subject, clientId, options);
    const claims = account === null ? make.ofNode(clientId, at) : make.ofPerson(clientId, account, at);
    return { account, claims: await place(claims) };
  };
  const { account, claims } = await settle(read, (found) => [
    { kind: 'node', subject: clientId },
    ...(found.account === null ? [] : [{ kind: 'person', subject: found.account.username } as const]),
  ]);
  const access_token = await sign(claims);
  events.vpnTokenIssued({
    ...{ requestId, clientId, grantType, jti: claims.jti },
    accountId: account?.id ?? null,
  });
  return {
    access_token,
    token_type: 'Bearer',
    expires_in: lifetimeSeconds,
    scope: VPN_SCOPE,
    issued_token_type: ISSUED_TOKEN_TYPE,
  };
}

/** Whatever is wrong with it, the answer is the same, and never the node's own JWT. */
async function getSubject(
  { token, type }: SubjectToken,
  clientId: string,
  { findSubject }: VpnExchangeOptions,
): Promise<Account> {
  const kind = SUBJECT_KINDS.get(type);
  if (kind === undefined) {
    throw new AppError(
      'invalid_request',
      `subject_token_type: one of ${[...SUBJECT_KINDS.keys()].join(', ')} (RFC 8693 3).`,
    );
  }
  const account = await findSubject(kind, token, clientId);
  if (account !== null) return account;
  throw new AppError(
    'invalid_request',
    `subject_token: no live ${kind === 'id_token' ? 'ID token' : 'access token'} of a person that was issued to this node.`,
  );
}
