/** After all tests: ends what global-setup.ts started. */
import type { TestMongo } from './mongod.ts';

export default async function teardown(): Promise<void> {
  // global-setup.ts left it there.
  const { portcullisTestMongo } = globalThis as { portcullisTestMongo?: TestMongo };
  await portcullisTestMongo?.stop();
}
