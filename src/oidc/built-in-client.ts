/**
 * The client that the JSON API gets its tokens under. It is in no store: the engine finds it in requests that this
 * program makes itself, so that nobody uses it at an endpoint of the protocol.
 */
import { AsyncLocalStorage } from 'node:async_hooks';

import type { AdapterPayload } from 'oidc-provider';

import { FIRST_PARTY_CLIENT } from '../names.ts';

const METADATA: AdapterPayload = {
  client_id: FIRST_PARTY_CLIENT,
  token_endpoint_auth_method: 'none',
  grant_types: ['refresh_token'],
  response_types: [],
  redirect_uris: [],
  scope: 'openid',
  allowed_scopes: [],
  first_party: true,
};

const own = new AsyncLocalStorage<true>();

/** Runs `work` as a request of this program itself. */
export const asOwnRequest = <T>(work: () => T): T => own.run(true, work);

/** The client, for who may know it; undefined for everybody else. */
export const findBuiltInClient = (): AdapterPayload | undefined =>
  own.getStore() === true ? METADATA : undefined;
