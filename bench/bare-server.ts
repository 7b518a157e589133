/** The yardstick: oidc-provider alone, with its memory adapter, on the same Node. Started by the benchmark. */
import { exportJWK, generateKeyPair } from 'jose';
import { Provider } from 'oidc-provider';

import { BENCH_CLIENT, BENCH_RESOURCE } from './client.ts';

const { privateKey } = await generateKeyPair('RS256', { extractable: true });

const provider = new Provider('http://localhost', {
  clients: [
    {
      client_id: BENCH_CLIENT.id,
      client_secret: BENCH_CLIENT.secret,
      grant_types: ['client_credentials'],
      response_types: [],
      redirect_uris: [],
      scope: 'read bench',
    },
  ],
  scopes: ['openid', 'read', 'bench'],
  jwks: { keys: [{ ...(await exportJWK(privateKey)), alg: 'RS256', use: 'sig' }] },
  ttl: { ClientCredentials: 3600 },
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    introspection: { enabled: true },
    revocation: { enabled: true },
    resourceIndicators: {
      enabled: true,
      getResourceServerInfo: () => ({
        scope: 'bench',
        audience: BENCH_RESOURCE,
        accessTokenTTL: 3600,
        accessTokenFormat: 'jwt',
        jwt: { sign: { alg: 'RS256' } },
      }),
    },
  },
});

const server = provider.listen(0, '127.0.0.1', () => {
  const address = server.address();
  process.send?.({ port: typeof address === 'object' ? address?.port : 0 });
});
process.on('message', () => process.send?.({ rssMiB: process.memoryUsage().rss / 1024 / 1024 }));
process.on('disconnect', () => process.exit());
