/** Production without a mail server: no page promises a mail. */
import { expect, test } from '@jest/globals';
import { get } from 'node:http';
import { text } from 'node:stream/consumers';

import { generateSecret } from '../../src/config/secret-format.ts';
import { startTestServer } from '../support/server.ts';

test('no page promises a mail where none can be sent', async () => {
  const server = await startTestServer('SQLite', {
    NODE_ENV: 'production',
    ISSUER: 'https://auth.example.com',
    SECRET_KEY: generateSecret('SECRET_KEY', 'production'),
    JWT_SECRET_KEY: generateSecret('JWT_SECRET_KEY', 'production'),
  });
  /** Production answers under its own name alone, which `fetch` cannot say here. */
  const open = (path: string): Promise<string> =>
    new Promise((resolve, reject) => {
      const headers = { host: 'auth.example.com', accept: 'text/html' };
      get(server.origin + path, { headers }, (answer) => resolve(text(answer))).on('error', reject);
    });
  expect(await open('/account')).not.toContain('/account/forgot');
  const forgot = await open('/account/forgot');
  expect(forgot).toContain('This server sends no mails');
  expect(forgot).not.toContain('<form');
  await server.stop();
});
