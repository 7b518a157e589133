// The slow checks of test/faults: real server processes that are killed, stopped and starved, one file at a time.
import jestConfig from './jest.config.js';

export default {
  ...jestConfig,
  globalSetup: undefined,
  globalTeardown: undefined,
  testMatch: ['**/test/faults/*.fault.ts'],
  maxWorkers: 1,
  testTimeout: 300_000,
};
