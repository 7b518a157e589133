/** How rotation-worker.ts rotates, and when it dies. */
import type { RotationPolicy } from '../../../src/keys/rotation.ts';

/** A rotation by the command line, or by the schedule of a server. */
export const WAYS = ['command', 'schedule'] as const;
/** When it dies. */
export const STEPS = ['after reading', 'before writing', 'while writing', 'after writing'] as const;

/** Each rotation takes effect at once, and the next one drops what the one before left. */
export const QUICK: RotationPolicy = {
  publishSeconds: 0,
  keepSeconds: 1,
  rotateEverySeconds: 1,
  algorithms: ['RS256', 'ES256'],
};
