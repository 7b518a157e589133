/** A thread that checks one bcrypt hash and ends: bcryptjs computes in JavaScript, for a quarter of a second. */
import { parentPort, workerData } from 'node:worker_threads';

import bcrypt from 'bcryptjs';

/** What the thread is started with. */
export interface BcryptCheck {
  readonly password: string;
  readonly hash: string;
}

const { password, hash } = workerData as BcryptCheck; // as password-formats.ts starts it
parentPort?.postMessage(bcrypt.compareSync(password, hash));
