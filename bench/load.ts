/** Load on one URL: by wrk where it is on the path, since a light load leaves the cores to the servers, else by autocannon. */
import autocannon from 'autocannon';

import { BENCH_CLIENT } from './client.ts';
import { isWrkThere, loadByWrk } from './wrk.ts';
import type { Request, Sample } from './wrk.ts';

/** The headers of a form that the benchmark's client sends. */
export const CLIENT_FORM = {
  'content-type': 'application/x-www-form-urlencoded',
  authorization: `Basic ${Buffer.from(`${BENCH_CLIENT.id}:${BENCH_CLIENT.secret}`).toString('base64')}`,
} as const;

export const OPAQUE_TOKEN = 'grant_type=client_credentials&scope=read';

export const hasWrk = await isWrkThere();

/** Keeps so many connections busy for so long. */
export async function load(request: Request, connections: number, seconds: number): Promise<Sample> {
  if (hasWrk) return loadByWrk(request, connections, seconds);
  const result = await autocannon({ ...request, connections, duration: seconds });
  const { requests, latency, non2xx, errors } = result;
  return { perSecond: requests.average, p50: latency.p50, p99: latency.p99, failures: non2xx + errors };
}
