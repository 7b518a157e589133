/** `portcullis clients logouts`: what waits for clients that do not answer, and what was given up. */
import { expect, test } from '@jest/globals';

import type { OutboxMessage } from '../../src/storage/port.ts';
import { useInstallation } from '../support/installation.ts';
import { describeOnBothStores } from '../support/server.ts';
import { documentOf, environmentOf, portcullis } from './run.ts';
import type { Ran } from './run.ts';

const at = Math.floor(Date.now() / 1000);

const message = (id: string, fields: Partial<OutboxMessage> = {}): OutboxMessage => ({
  id,
  clientId: 'billing',
  payload: { sub: 'alice', sid: 'abc' },
  createdAt: at,
  attempts: 3,
  dueAt: at + 60,
  lastError: 'it answered 500',
  failedAt: null,
  expiresAt: at + 3_600,
  ...fields,
});

describeOnBothStores('clients logouts', (store) => {
  const installation = useInstallation(store);
  const cli = (...argv: readonly string[]): Promise<Ran> =>
    portcullis(['clients', 'logouts', ...argv], {
      cwd: installation().folder,
      env: environmentOf(installation()),
    });

  test('says that there are none', async () => {
    expect(await cli()).toEqual({ out: 'There are none: every client was told.\n', err: '', code: 0 });
  });

  const put = () =>
    installation().storage.outbox.put([
      message('a'),
      message('b', { failedAt: at, clientId: 'reports' }),
      message('c', { failedAt: at, expiresAt: at }),
    ]);

  test('lists what waits and what was given up, a page at a time', async () => {
    await put();
    const first = await cli('--limit', '1');
    expect(first.out).toMatch(
      /^ID +CLIENT +QUEUED +TRIES +STATE +LAST ERROR\na +billing .* 3 +next try .* it answered 500\n$/,
    );
    expect(first.err).toBe('More follow: add --after a\n');
    const { out } = await cli('--after', 'a');
    expect(out).toMatch(/\nb +reports .* given up /);
    expect(out).not.toContain('\nc ');
  });

  test('lists only what was given up, as one document', async () => {
    await put();
    const time = expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
    expect(documentOf(await cli('--failed', '--json'))).toEqual({
      items: [
        {
          id: 'b',
          client_id: 'reports',
          sub: 'alice',
          queued_at: time,
          attempts: 3,
          last_error: 'it answered 500',
          next_try_at: null,
          failed_at: time,
        },
      ],
      next: null,
    });
  });
});
