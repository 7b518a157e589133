/** What a finished request leaves behind: nothing that a collection of young objects would have to copy. */
import { expect, test } from '@jest/globals';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import autocannon from 'autocannon';

import { CLIENT_FORM, OPAQUE_TOKEN } from '../../bench/load.ts';

const SERVER = join(import.meta.dirname, '../../bench/portcullis-server.ts');
const CONNECTIONS = 16;
const TO_WARM_UP = 2_000;
const TOKENS = 4_000;
// Of the 65 KiB that a token allocates. Where requests are kept until the whole heap is collected it is over 9,000.
const MOST_KEPT_BYTES = 4_000;
// Small, so that a few thousand tokens are many collections.
const COLLECTOR = ['--trace-gc-nvp', '--max-semi-space-size=2'];

test('of a finished token request next to nothing outlives the collections of young objects', async () => {
  const child = fork(SERVER, [], { stdio: ['ignore', 'pipe', 'inherit', 'ipc'], execArgv: COLLECTOR });
  let trace = '';
  child.stdout?.setEncoding('utf8').on('data', (text: string) => (trace += text));
  try {
    const [{ port }] = (await once(child, 'message')) as [{ port: number }];
    const ask = (amount: number) =>
      autocannon({
        url: `http://127.0.0.1:${port}/token`,
        ...{ method: 'POST', headers: CLIENT_FORM, body: OPAQUE_TOKEN, connections: CONNECTIONS, amount },
      });
    await ask(TO_WARM_UP);
    trace = '';
    expect(await ask(TOKENS)).toMatchObject({ '2xx': TOKENS, errors: 0 });
    const promoted = [...trace.matchAll(/ gc=s .* promoted=(\d+)/g)].map(([, bytes]) => Number(bytes));
    expect(promoted.length).toBeGreaterThan(10);
    expect(promoted.reduce((sum, bytes) => sum + bytes, 0) / TOKENS).toBeLessThan(MOST_KEPT_BYTES);
  } finally {
    child.disconnect();
    await once(child, 'exit');
  }
});
