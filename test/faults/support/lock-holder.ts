/** A process that takes the write lock of an SQLite file, says `held`, and gives it back when its parent says so. */
import { DatabaseSync } from 'node:sqlite';

const LOCK_TIMEOUT_MS = 5_000;
const [path = ''] = process.argv.slice(2);

const database = new DatabaseSync(path, { timeout: LOCK_TIMEOUT_MS });
database.exec('BEGIN IMMEDIATE');
process.send?.('held');
process.on('message', () => {
  database.exec('ROLLBACK');
  database.close();
  process.disconnect();
});
process.on('disconnect', () => process.exit());
