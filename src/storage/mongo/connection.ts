/** Connects to the replica set with the settings that the port's promises rest on; no URI can weaken them. */
import mongoose from 'mongoose';
import type { ConnectOptions, Connection } from 'mongoose';

import { STORE_TIMEOUT_MS } from '../port.ts';
import { translateError } from './errors.ts';

const DEFAULT_DATABASE = 'portcullis';
const AUTHENTICATION_FAILED = 18;

const OPTIONS = {
  appName: 'portcullis',
  bufferCommands: false,
  autoIndex: false,
  autoCreate: false,
  sanitizeFilter: true,
  // Grouped calls hold two or three connections; the rest is for writes that go alone.
  maxPoolSize: 64,
  readPreference: 'primary',
  readConcern: { level: 'local' },
  retryReads: true,
  retryWrites: true,
} as const satisfies ConnectOptions;

interface ConnectionOptions {
  readonly databaseName?: string | undefined;
  readonly timeoutMs?: number | undefined;
}

/** Rejects with AppError('store_unavailable') where nobody answers, with a sentence where it is no replica set. */
export async function connect(
  uri: string,
  { databaseName, timeoutMs = STORE_TIMEOUT_MS }: ConnectionOptions = {},
): Promise<Connection> {
  const named = databaseName ?? (namesDatabase(uri) ? undefined : DEFAULT_DATABASE);
  const connection = mongoose.createConnection(uri, {
    ...OPTIONS,
    serverSelectionTimeoutMS: timeoutMs,
    connectTimeoutMS: timeoutMs,
    waitQueueTimeoutMS: timeoutMs,
    writeConcern: { w: 'majority', journal: true, wtimeoutMS: timeoutMs },
    ...(named !== undefined && { dbName: named }),
  });
  try {
    await connection.asPromise();
    await assertReplicaSet(connection);
    return connection;
  } catch (error) {
    await connection.destroy(true);
    throw isWrongPassword(error) ? wrongPassword(error) : translateError(error);
  }
}

/** True for `mongodb://host,host/name`; the driver would otherwise call the database `test`. */
const namesDatabase = (uri: string): boolean => /^[^:]+:\/\/[^/]+\/[^?]/.test(uri);

const isWrongPassword = (error: unknown): boolean =>
  error instanceof mongoose.mongo.MongoServerError && error.code === AUTHENTICATION_FAILED;

const wrongPassword = (cause: unknown): Error =>
  new Error(
    'MongoDB refuses the user name or the password of the database URL: correct them (percent-encoded, and with ' +
      '?authSource= where the user belongs to another database) and start again.',
    { cause },
  );

/** Without a replica set there is no majority to survive in, and a write cannot be retried safely. */
async function assertReplicaSet(connection: Connection): Promise<void> {
  const hello = await connection.db?.command({ hello: 1 });
  const isRouter = hello?.['msg'] === 'isdbgrid';
  if (isRouter || typeof hello?.['setName'] === 'string') return;
  throw new Error(
    'The MongoDB server stands alone, and Portcullis needs a replica set (one member is enough to try it): ' +
      'start mongod with --replSet rs0, run rs.initiate() once in mongosh, and start again.',
  );
}
