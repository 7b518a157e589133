/** The client and the API that every measured server knows. They exist on loopback, for seconds. */
export const BENCH_CLIENT = {
  id: 'bench-client',
  secret: 'bench-client-secret-of-the-measurement-only',
} as const;
export const BENCH_RESOURCE = 'urn:bench:api';
