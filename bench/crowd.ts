/**
 * A crowd at the sign-in page, in a process of its own: told `go` it signs in with names that nobody has, and told
 * `rest` it waits for its last answers and says what it got. Who is turned away comes again a little later.
 */
import { setTimeout as sleep } from 'node:timers/promises';

import { openForm } from './page-form.ts';

/** What became of the sign-ins of one phase, by status; `rude`: turned away without a word of when to come back. */
export interface CrowdReport {
  readonly statuses: Readonly<Record<string, number>>;
  readonly rude: number;
  /** So long the slowest one that was looked at waited. */
  readonly slowestMs: number;
}

const [origin = '', people = ''] = process.argv.slice(2);
const signIn = await openForm(origin, '/account', '/account/sign-in');
let names = 0;
let isOpen = false;
let statuses: Record<string, number> = {};
let rude = 0;
let slowestMs = 0;

async function person(): Promise<void> {
  while (isOpen) {
    const { status, headers, ms } = await signIn({
      login: `nobody${(names += 1)}`,
      password: 'A-wrong-Passw0rd',
    });
    statuses[status] = (statuses[status] ?? 0) + 1;
    if (status !== 503) {
      slowestMs = Math.max(slowestMs, ms);
      continue;
    }
    if (headers['retry-after'] === undefined) rude += 1;
    await sleep(1_000 * Number(headers['retry-after'] ?? 1) * (0.5 + Math.random()));
  }
}

let crowd: Promise<unknown> = Promise.resolve();
process.on('message', (command) => {
  if (command === 'go') {
    [isOpen, statuses, rude, slowestMs] = [true, {}, 0, 0];
    crowd = Promise.all(Array.from({ length: Number(people) }, person));
  } else {
    isOpen = false;
    void crowd.then(() => process.send?.({ statuses, rude, slowestMs } satisfies CrowdReport));
  }
});
process.on('disconnect', () => process.exit());
process.send?.({ port: 0 });
