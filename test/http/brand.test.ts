/** The logo of the brand, as the real server sends it: a picture and nothing else, whoever opens it. */
import { describe, expect, test } from '@jest/globals';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { startTestServer } from '../support/server.ts';

const SVG = '<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>';

describe('the logo of the brand', () => {
  test('is served with a policy that lets nothing of it run', async () => {
    const file = join(mkdtempSync(join(tmpdir(), 'portcullis-test-')), 'logo.svg');
    writeFileSync(file, SVG);
    const server = await startTestServer('SQLite', { BRAND_LOGO: file });
    const answer = await server.request('/brand/logo');
    expect(await answer.text()).toBe(SVG);
    expect(Object.fromEntries(answer.headers)).toMatchObject({
      'content-type': 'image/svg+xml',
      'content-security-policy': "default-src 'none'; style-src 'unsafe-inline'; sandbox",
      'x-content-type-options': 'nosniff',
      'cache-control': 'public, max-age=3600',
    });
    expect(await (await server.request('/account')).text()).toContain('src="/brand/logo"');
    await server.stop();
  });

  test('is not there where the brand has none', async () => {
    const server = await startTestServer('SQLite');
    expect((await server.request('/brand/logo')).status).toBe(404);
    expect(await (await server.request('/account')).text()).toContain('<svg class="mark"');
    await server.stop();
  });
});
