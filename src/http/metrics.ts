/** Prometheus' `/metrics`, on a listener of its own so that the public address never shows it. */
import { createServer } from 'node:http';

import type Koa from 'koa';
import type { Registry } from 'prom-client';

import { listen } from './server.ts';
import type { ListeningServer } from './server.ts';

const LIMITS = { headersTimeout: 10_000, requestTimeout: 10_000, connectionsCheckingInterval: 1_000 };

interface Address {
  readonly host: string;
  readonly port: number;
}

interface MetricsListener {
  stop(): Promise<void>;
}

interface Addresses extends Address {
  /** Null: no metrics. */
  readonly metricsAddress: Address | null;
}

/** Listens for requests, then for metrics: whoever starts a second server is told of the port that matters. */
export async function listenOnBoth(
  app: Koa,
  { host, port, metricsAddress }: Addresses,
  registry: Registry,
): Promise<ListeningServer> {
  const server = await listen(app, host, port);
  if (metricsAddress === null) return server;
  try {
    const metrics = await listenForMetrics(registry, metricsAddress);
    return { port: server.port, stop: (lastRequestsMs) => server.stop(lastRequestsMs).then(metrics.stop) };
  } catch (error) {
    await server.stop();
    throw error;
  }
}

/** Listens; rejects with a sentence where it cannot. */
async function listenForMetrics(registry: Registry, { host, port }: Address): Promise<MetricsListener> {
  const server = createServer(LIMITS, (request, response) => {
    if (request.url !== '/metrics' || request.method !== 'GET') {
      response.writeHead(404).end();
      return;
    }
    registry.metrics().then(
      (text) => response.writeHead(200, { 'Content-Type': registry.contentType }).end(text),
      () => response.writeHead(500).end(),
    );
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) =>
      reject(
        new Error(
          `Cannot serve metrics on ${host}:${port} (${cause.message}): set METRICS_ADDRESS to a free address or to off.`,
          { cause },
        ),
      ),
    );
    server.listen(port, host, resolve);
  });
  return {
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
