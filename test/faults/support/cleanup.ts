/** What a test started and must end, also when it failed: run by jest's hooks, the newest first. */

export interface Cleanup {
  add(end: () => Promise<void> | void): void;
  /** Ends everything once; the first failure is thrown after the last attempt. */
  run(): Promise<void>;
}

export function createCleanup(): Cleanup {
  const ends: (() => Promise<void> | void)[] = [];
  return {
    add: (end) => void ends.push(end),
    run: async () => {
      const failures: unknown[] = [];
      for (let end = ends.pop(); end !== undefined; end = ends.pop()) {
        try {
          await end();
        } catch (error) {
          failures.push(error);
        }
      }
      if (failures.length > 0) throw failures[0];
    },
  };
}
