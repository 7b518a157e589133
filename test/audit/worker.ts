/**
 * One of two processes that write one audit log: `worker.ts DATABASE_URL CHAIN_KEY NAME COUNT`. Says `ready` when its
 * store is open, and once it is told to it makes COUNT changes at once and gives how many were recorded.
 */
import { createAudit } from '../../src/audit/audit.ts';
import { openStorage } from '../../src/storage/open.ts';
import { withLatency } from '../support/latency.ts';

const [databaseUrl = '', chainKey = '', name = '', count = ''] = process.argv.slice(2);
const storage = withLatency(await openStorage(databaseUrl));
const now = (): number => Math.floor(Date.now() / 1_000);
const audit = createAudit({ store: storage.audit, chainKey, waitMs: 20_000, now });

process.on('message', () => {
  const record = audit.as({ actor: `process:${name}`, ip: null, requestId: null });
  const changes = Array.from({ length: Number(count) }, (_, n) =>
    record({ action: 'test.change', target: `${name}:${n}`, details: { n } }, async () => true),
  );
  void Promise.all(changes).then((made) => process.send?.(made.length));
});
process.on('disconnect', () => {
  void storage.close();
});
process.send?.('ready');
