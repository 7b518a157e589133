/** API keys for tests, made by their owners at the JSON API. */
import { createApiClient } from './api.ts';
import type { ApiAnswer, ApiCall, ApiClient, SignedIn } from './api.ts';
import { startTestServer } from './server.ts';
import type { StoreKind, TestServer } from './server.ts';

export const KEYS = '/api/v1/auth/api-keys';
export const PROFILE = '/api/v1/auth/profile';
/** Nobody is limited. */
export const UNLIMITED = {
  RATE_LIMIT_IP: '100000',
  RATE_LIMIT_USER: '100000',
  RATE_LIMIT_ADMIN: '100000',
};

export interface MadeKey {
  readonly id: string;
  readonly secret: string;
}

export const askForKey = (
  api: ApiClient,
  { token }: Pick<SignedIn, 'token'>,
  body: object = {},
  call: Pick<ApiCall, 'origin'> = {},
): Promise<ApiAnswer> => api.call('POST', KEYS, { token, body: { name: 'a key', ...body }, ...call });

export async function makeKey(
  api: ApiClient,
  me: Pick<SignedIn, 'token'>,
  body: object = {},
): Promise<MadeKey> {
  const answer = await askForKey(api, me, body);
  if (answer.status !== 201) throw new Error(JSON.stringify(answer.body));
  return { id: String(answer.body?.['key_id']), secret: String(answer.body?.['secret']) };
}

/** What a token or key gets at its owner's profile. */
export const statusOf = async (api: ApiClient, token: string, origin?: string): Promise<number> =>
  (await api.call('GET', PROFILE, { token, ...(origin !== undefined && { origin }) })).status;

export const detailOf = ({ status, body }: ApiAnswer): readonly unknown[] => [status, body?.['detail']];

export const inSeconds = (seconds: number): string =>
  new Date(Date.now() + seconds * 1_000).toISOString().replace(/\.\d+Z$/, '.000Z');

/** A server of its own, for facts that move its clock or have limits of their own. */
export async function alone(
  store: StoreKind,
  env: Readonly<Record<string, string>>,
  facts: (own: TestServer, api: ApiClient) => Promise<void>,
): Promise<void> {
  const own = await startTestServer(store, env);
  await createApiClient(own)
    .then((api) => facts(own, api))
    .finally(() => own.stop());
}
