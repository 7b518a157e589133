// Jest runs the sources as they are: the transform strips the types with Node's own function.
import { availableParallelism } from 'node:os';

export default {
  testEnvironment: 'node',
  roots: ['<rootDir>/test'],
  testMatch: ['**/*.test.ts'],
  extensionsToTreatAsEsm: ['.ts'],
  transform: { '\\.ts$': '<rootDir>/test/support/strip-types.js' },
  testSequencer: '<rootDir>/test/support/sequencer.js',
  globalSetup: '<rootDir>/test/support/global-setup.ts',
  globalTeardown: '<rootDir>/test/support/global-teardown.ts',
  testTimeout: 30_000,
  // Two at least: one would run all files in one process, whose memory grows with each. No more than there are cores: what
  // is promised within seconds is measured.
  maxWorkers: Math.max(2, availableParallelism() - 1),
  // The modules of a file stay in memory when it has ended; collecting gigabytes holds up for seconds what is measured.
  workerIdleMemoryLimit: '1GB',
};
