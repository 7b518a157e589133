/**
 * VPN_TEST_SECRET: what test tokens of VPN nodes are signed by. Nodes and whoever develops them share it, so it opens
 * nothing here, and production does not start beside it: a node that takes test tokens takes anybody for anybody.
 */
import type { ConfigFault } from './faults.ts';
import type { GivenText } from './secret-sources.ts';
import { areSameSecret } from './secret-strength.ts';

export const TEST_SECRET = 'VPN_TEST_SECRET';

// HS256 takes no shorter key (RFC 7518 3.2).
const MIN_BYTES = 32;

/** What is wrong with it; `keys` are the other secrets. */
export function testSecretFaults(
  given: GivenText | null,
  keys: readonly (GivenText | null)[],
  isProduction: boolean,
): readonly ConfigFault[] {
  if (given === null) return [];
  const fault = (found: string, expected: string, remedy: string): readonly ConfigFault[] => [
    { variable: TEST_SECRET, path: null, source: given.source, found, expected, remedy },
  ];
  if (isProduction) {
    const remedy = `Unset ${TEST_SECRET} and ${TEST_SECRET}_FILE, here and at every node.`;
    return fault(
      'set, so that anybody who knows it is taken for an administrator',
      'none in production',
      remedy,
    );
  }
  const make = `Set ${TEST_SECRET} to what \`openssl rand -base64 32\` prints, here and at the node.`;
  if (Buffer.byteLength(given.value) < MIN_BYTES) {
    return fault(
      `too short a value, ${Buffer.byteLength(given.value)} bytes`,
      `${MIN_BYTES} bytes or more`,
      make,
    );
  }
  if (keys.some((key) => key !== null && areSameSecret(key.value, given.value))) {
    return fault('the same value as another secret, which nodes must not know', 'a secret of its own', make);
  }
  return [];
}
