/** What an operator sees: metrics on a listener of their own, log lines that hold no secret, the lifecycle. */
import { describe, expect, test } from '@jest/globals';
import { createServer } from 'node:net';

import { createLogger } from '../src/observability.ts';
import { createVpnNode, getToken } from './support/clients.ts';
import { startTestServer } from './support/server.ts';

/** A port that was free a moment ago. */
function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const probe = createServer().listen(0, '127.0.0.1', () => {
      const address = probe.address();
      probe.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0));
    });
  });
}

describe('metrics', () => {
  test('count events and requests by routes of ours, on their own address only', async () => {
    const port = await freePort();
    const server = await startTestServer('SQLite', { METRICS_ADDRESS: `127.0.0.1:${port}` });
    try {
      await getToken(server, await createVpnNode(server));
      await server.request('/a-path-that-somebody-made-up');
      const metrics = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
      expect(metrics).toContain('portcullis_events_total{event="token_issued"} 1');
      expect(metrics).toMatch(
        /portcullis_http_request_duration_seconds_count\{route="\/token",method="POST",status="200"\} 1/,
      );
      expect(metrics).toContain('route="none"');
      expect(metrics).not.toContain('made-up');
      expect((await fetch(`http://127.0.0.1:${port}/other`)).status).toBe(404);
      expect((await server.request('/metrics')).status).toBe(404);
    } finally {
      await server.stop();
    }
  });

  test('an address that is taken is told with its remedy', async () => {
    const taken = createServer();
    await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
    const address = taken.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    await expect(startTestServer('SQLite', { METRICS_ADDRESS: `127.0.0.1:${port}` })).rejects.toThrow(
      /set METRICS_ADDRESS/,
    );
    taken.close();
  });
});

describe('the log', () => {
  test('redacts what goes by the name of a secret, at any depth, and cuts what lies deeper', () => {
    const lines: string[] = [];
    const logger = createLogger('info', { write: (line) => void lines.push(line) });
    const deep = { a: { b: { c: { d: { e: { token: 'deep-secret' } } } } } };
    logger.info({
      client_secret: 'flat-secret',
      safe: 'shown',
      nested: { authorization: 'nested-secret', list: [{ token: 'listed-secret' }] },
      deep,
    });
    expect(lines.join('')).toContain('shown');
    expect(lines.join('')).not.toContain('-secret"');
  });

  test('is one line an event, whatever the event holds', () => {
    const lines: string[] = [];
    createLogger('info', { write: (line) => void lines.push(line) }).info({ clientId: 'a\nb\u2028c"}' });
    expect(lines).toHaveLength(1);
    expect(lines[0]?.trim().split('\n')).toHaveLength(1);
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({ clientId: 'a\nb\u2028c"}' });
  });
});
