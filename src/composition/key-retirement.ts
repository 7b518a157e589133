/** What there is to tell of the end of a signing key: what it breaks, who signs then, and what is left. */
import type { Config } from '../config.ts';
import { toInstant } from '../instant.ts';
import type { Retired, Retirement } from '../keys/retirement.ts';
import type { KeyState, RotationKey, RotationPolicy } from '../keys/rotation.ts';
import { ID_TOKEN_SECONDS } from '../oidc/lifetimes.ts';
import type { ResourceServer, Storage } from '../storage/port.ts';

const PAGE = 200;
// Until an instance has read the set anew.
const RELOAD_SECONDS = 5;

/** What was signed by a key and would have been good until then. */
interface BrokenTokens {
  readonly tokens: string;
  readonly until: string;
}

export interface RetirementView {
  readonly kid: string;
  readonly alg: string;
  readonly state: KeyState;
  readonly breaks: readonly BrokenTokens[];
  /** Until then whoever keeps the JWKS takes what it signs; null for a key that never signed. */
  readonly accepted_until: string | null;
  /** Who signs now; null where nobody took over. */
  readonly successor: SuccessorView | null;
}

interface SuccessorView {
  readonly kid: string;
  readonly published_at: string;
  /** From then on everybody knows it. */
  readonly known_from: string;
  readonly is_known: boolean;
}

/** What is left of its algorithm. */
interface LeftView {
  /** How many keys are. */
  readonly keys_left: number;
  /** The kid of the key that waits for its turn; null where none does. */
  readonly standby: string | null;
  /** When the key that ended was to take over; null for one that had no turn before it. */
  readonly cancelled_rotation: string | null;
  /** When a key takes over now; null where nothing but a command does it. */
  readonly next_rotation: string | null;
  /** True where a key has that turn; otherwise it gets it when the time of the one that signs is over. */
  readonly is_scheduled: boolean;
}

export interface RetiredView extends RetirementView, LeftView {}

/** What is left without the key, times as text (RFC 3339). */
export function toLeftView({ ended, left, now }: Retired): LeftView {
  const waiting = left.filter(({ state }) => state === 'next');
  const [turn = null] = waiting.flatMap(({ until }) => until ?? []);
  const next = turn ?? left.find(({ state }) => state === 'active')?.until ?? null;
  const { signsFrom } = ended.key;
  return {
    keys_left: left.length,
    standby: waiting.find(({ until }) => until === null)?.key.kid ?? null,
    cancelled_rotation: signsFrom === null || signsFrom <= now ? null : toInstant(signsFrom),
    next_rotation: next === null ? null : toInstant(next),
    is_scheduled: turn !== null,
  };
}

/** Of a retirement, or of what one would do. */
export function toRetirementView(
  { ended, successor, now }: Retirement,
  config: Config,
  { publishSeconds }: RotationPolicy,
  resourceServers: readonly ResourceServer[],
): RetirementView {
  const { key, state, since } = ended;
  const signedUntil = state === 'retiring' ? since : now;
  const signed = state === 'next' ? [] : tokensOf(key.alg, config, resourceServers);
  const { jwksMaxAgeSeconds } = config.tokens;
  return {
    kid: key.kid,
    alg: key.alg,
    state,
    breaks: signed
      .filter(({ seconds }) => signedUntil + seconds > now)
      .map(({ tokens, seconds }) => ({ tokens, until: toInstant(signedUntil + seconds) })),
    accepted_until: state === 'next' ? null : toInstant(now + jwksMaxAgeSeconds + RELOAD_SECONDS),
    successor: successor && toSuccessorView(successor, now, publishSeconds),
  };
}

const toSuccessorView = (
  { kid, createdAt }: RotationKey,
  now: number,
  publishSeconds: number,
): SuccessorView => ({
  kid,
  published_at: toInstant(createdAt),
  known_from: toInstant(createdAt + publishSeconds),
  is_known: createdAt + publishSeconds <= now,
});

/** What keys of an algorithm sign, and how long it lives. */
const tokensOf = (
  alg: string,
  { vpn, customers, sessions }: Config,
  resourceServers: readonly ResourceServer[],
) => [
  ...(alg === 'RS256' ? [{ tokens: 'VPN JWTs', seconds: vpn.tokenLifetimeSeconds }] : []),
  ...(alg === 'ES256' ? [{ tokens: 'tokens of customers', seconds: customers.maxTokenLifetimeSeconds }] : []),
  ...resourceServers.map(({ identifier, accessTokenLifetime }) => ({
    tokens: `access tokens for ${identifier}`,
    seconds: accessTokenLifetime,
  })),
  { tokens: 'ID tokens', seconds: ID_TOKEN_SECONDS },
  { tokens: 'ID tokens as the hint of a sign-out', seconds: sessions.rememberedSeconds },
];

/** Those whose tokens the key signs. */
export async function resourceServersOf(
  { ended }: Retirement,
  { resourceServers }: Pick<Storage, 'resourceServers'>,
): Promise<readonly ResourceServer[]> {
  const found: ResourceServer[] = [];
  for (let after: string | null | undefined; after !== null;) {
    const page = await resourceServers.list({ after, limit: PAGE });
    found.push(...page.items.filter(({ signingAlg }) => signingAlg === ended.key.alg));
    after = page.next;
  }
  return found;
}
