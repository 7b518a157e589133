/** What needs a thing that a machine may lack: a developer's tests are told as skipped; CI has all of it, so there it fails. */
import { test } from '@jest/globals';

/** Tells of facts that cannot be tested here, and why. */
export function cannotTest(name: string, reason: string): void {
  if (process.env['CI'] === undefined) test.skip(`${name} (skipped: ${reason})`, () => undefined);
  else
    test(name, () => {
      throw new Error(`In CI a check that cannot run is one that failed: ${reason}`);
    });
}
