/**
 * How long a signing key is published before and after it signs, by what the settings allow tokens to live. A part of
 * the composition root.
 */
import type { Config } from '../config.ts';
import type { RotationPolicy } from '../keys/rotation.ts';
import { MAX_LIFETIME_SECONDS } from '../resource-servers/registry.ts';

// Clocks a minute apart, an instance that still signs until it reads the set anew, the leeway of who verifies.
const KEEP_MARGIN_SECONDS = 120;

export const keyPolicyOf = ({ keys, vpn, customers, sessions }: Config): RotationPolicy => ({
  publishSeconds: keys.publishAheadSeconds,
  keepSeconds:
    KEEP_MARGIN_SECONDS +
    Math.max(
      MAX_LIFETIME_SECONDS, // what any resource server may ask for, now or later
      vpn.tokenLifetimeSeconds,
      customers.maxTokenLifetimeSeconds,
      // An ID token comes back as the hint of a sign-out, long after it expired.
      sessions.rememberedSeconds,
    ),
  rotateEverySeconds: keys.rotateEverySeconds,
  algorithms: keys.algorithms,
});
