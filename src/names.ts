/**
 * One register of names: usernames on one side, client ids and audiences on the other, so that a `sub`, a
 * `client_id` and an `aud` never mean two things. Which side comes second is refused, in a race too.
 */
import type { NameKind, NameStore } from './storage/port.ts';

/** Names are compared without regard to case and to Unicode's many spellings of a letter. */
export const foldName = (name: string): string => name.normalize('NFKC').toLowerCase();

/** The client that the JSON API gets its tokens under; it stands in no store. */
export const FIRST_PARTY_CLIENT = 'portcullis-api';

/** What VPN nodes name as the `resource` of their JWTs (RFC 8707): a resource server that is built in. */
export const vpnResourceOf = (issuer: string): string => `${issuer}/vpn`;

/** The audience of test tokens, as the nodes that there are know it. */
export const TEST_AUDIENCE = 'vpn-nodes';

interface Reserving {
  readonly issuer: string;
  readonly vpn: { readonly audience: string };
  readonly customers: { readonly audience: string };
}

/** Folded names that this server itself gives a meaning: no username and no audience of an API may be one. */
export const reservedNames = (config: Reserving): readonly string[] => [
  ...reservedClientIds(config),
  foldName(config.customers.audience),
];

/** Those that no client may be called: it is the gateway that is called as the audience of customers' tokens. */
export const reservedClientIds = ({ issuer, vpn }: Reserving): readonly string[] =>
  [vpn.audience, TEST_AUDIENCE, issuer, vpnResourceOf(issuer), 'portcullis', FIRST_PARTY_CLIENT].map(
    foldName,
  );

export interface NameSide {
  /** True for a name that this server keeps for itself. */
  isReserved(name: string): boolean;
  /** True where the other side has, or had, the name. */
  isTaken(name: string): Promise<boolean>;
  /** True where this side claimed the name before. */
  isOwn(name: string): Promise<boolean>;
  /** Takes the name for this side for ever; false where the other side was first. */
  claim(name: string): Promise<boolean>;
}

/** One side's view of the register. */
export const createNameSide = (names: NameStore, kind: NameKind, reserved: readonly string[]): NameSide => ({
  isReserved: (name) => reserved.includes(foldName(name)),
  isTaken: async (name) => {
    const holder = await names.find(foldName(name));
    return holder !== null && holder !== kind;
  },
  isOwn: async (name) => (await names.find(foldName(name))) === kind,
  claim: async (name) => (await names.claim(foldName(name), kind)) === kind,
});
