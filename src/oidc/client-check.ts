/** The engine's own judgement of client metadata, before they are stored. */
import { exportJWK, generateKeyPair } from 'jose';
import type { JWK } from 'jose';
import { errors, Provider } from 'oidc-provider';
import type { Adapter } from 'oidc-provider';

import { SERVER_SCOPES } from '../scopes.ts';
import type { Client } from '../storage/port.ts';
import { CLIENT_METHODS, CLIENT_PROPERTIES, toEngineClient } from './clients.ts';
import { TOKEN_EXCHANGE } from './token-exchange.ts';

/** Tells why the engine would refuse the client, or null. */
export async function checkClient(client: Client): Promise<string | null> {
  const provider = new Provider('http://localhost', {
    adapter: () => only(client),
    jwks: { keys: [...(await keys())] }, // private JWKs by jose, in the engine's type
    scopes: [...SERVER_SCOPES],
    responseTypes: ['code'],
    clientAuthMethods: [...CLIENT_METHODS],
    extraClientMetadata: { properties: [...CLIENT_PROPERTIES] },
    features: {
      backchannelLogout: { enabled: true },
      clientCredentials: { enabled: true },
      deviceFlow: { enabled: true },
      devInteractions: { enabled: false },
    },
  });
  provider.registerGrantType(TOKEN_EXCHANGE, () => undefined); // it is known; nobody uses it here
  try {
    await provider.Client.find(client.clientId);
    return null;
  } catch (error) {
    if (error instanceof errors.InvalidClientMetadata) return error.error_description ?? error.message;
    throw error;
  }
}

let made: Promise<readonly JWK[]> | null = null;

/** A key of each algorithm that the server signs by; nothing is ever signed with them. */
const keys = (): Promise<readonly JWK[]> =>
  (made ??= Promise.all(
    ['RS256', 'ES256'].map(async (alg) => {
      const { privateKey } = await generateKeyPair(alg, { extractable: true });
      return { ...(await exportJWK(privateKey)), alg };
    }),
  ));

/** An adapter that knows one client and nothing else. */
function only(client: Client): Adapter {
  const none = async (): Promise<undefined> => undefined;
  return {
    find: async () => toEngineClient(client, client.updatedAt),
    upsert: none,
    consume: none,
    destroy: none,
    findByUid: none,
    findByUserCode: none,
    revokeByGrantId: none,
  };
}
