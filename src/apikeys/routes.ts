/** The requests of contracts under `/api/v1/auth/api-keys`. An API key makes, changes and lists none. */
import { z } from 'zod';

import { pageOf, PageQuery } from '../api/cursor.ts';
import type { Cursors } from '../api/cursor.ts';
import { defineRoute } from '../api/route.ts';
import type { Route } from '../api/route.ts';
import type { PersonCaller } from '../api/caller.ts';
import type { Account } from '../storage/port.ts';
import type { ApiKeys, Asking } from './api-keys.ts';
import { Key, KeyChanges, KeyWithSecret, NewKey, Rotation, toChanges, toView } from './schema.ts';

const TAG = 'API keys';
const LIST = '/api/v1/auth/api-keys';
const ONE = '/api/v1/auth/api-keys/{key_id}';
const OneKey = z.strictObject({ key_id: z.string().min(1).max(100) });

export interface ApiKeyRouteOptions {
  readonly apiKeys: ApiKeys;
  readonly cursors: Cursors;
  /** Requests an hour that an account has. */
  readonly rateOf: (owner: Account) => number;
  readonly hasSession: (accountId: string, sessionId: string) => Promise<boolean>;
  readonly now: () => number;
}

/** The routes, in the order in which the document tells them. */
export const createApiKeyRoutes = (options: ApiKeyRouteOptions): readonly Route[] => [
  createKey(options),
  listKeys(options),
  readKey(options),
  changeKey(options),
  rotateKey(options),
  deleteKey(options),
];

const askingOf = (
  { account, role, sessionId }: PersonCaller,
  { rateOf, hasSession }: ApiKeyRouteOptions,
): Asking => ({
  owner: account,
  maxRate: role === 'admin' ? null : rateOf(account),
  isStillIn: () => hasSession(account.id, sessionId),
});

const createKey = (options: ApiKeyRouteOptions): Route =>
  defineRoute({
    method: 'post',
    path: LIST,
    summary: 'Make an API key',
    about:
      'It is sent as `Authorization: Bearer` or as `X-API-Key`. It ends with every ' +
      'session of its owner: when a new password is set, for example.',
    tag: TAG,
    access: 'person',
    permission: 'api-keys:write',
    body: NewKey,
    answers: { 201: { about: 'The key is made.', schema: KeyWithSecret } },
    refusals: ['conflict'],
    handle: async ({ caller, body }) => {
      const { key, secret } = await options.apiKeys.create(askingOf(caller, options), {
        ...toChanges(body),
        name: body.name,
      });
      return { status: 201, body: { ...toView(key, options.now()), secret } };
    },
  });

const listKeys = ({ apiKeys, cursors, now }: ApiKeyRouteOptions): Route =>
  defineRoute({
    method: 'get',
    path: LIST,
    summary: 'List the own API keys',
    tag: TAG,
    access: 'person',
    permission: 'api-keys:read',
    query: PageQuery,
    answers: {
      200: {
        about: 'A page of them, oldest first.',
        schema: pageOf(Key),
      },
    },
    handle: async ({ caller: { account }, query }) => {
      const list = { name: 'api-keys', callerId: account.id };
      const { items, next } = await apiKeys.list(account.id, cursors.read(list, query));
      const body = { items: items.map((key) => toView(key, now())), next: cursors.write(list, next) };
      return { status: 200, body };
    },
  });

const readKey = ({ apiKeys, now }: ApiKeyRouteOptions): Route =>
  defineRoute({
    method: 'get',
    path: ONE,
    summary: 'Read an API key',
    tag: TAG,
    access: 'person',
    permission: 'api-keys:read',
    params: OneKey,
    answers: { 200: { about: 'The key, without its secret.', schema: Key } },
    handle: async ({ caller: { account }, params: { key_id: keyId } }) => ({
      status: 200,
      body: toView(await apiKeys.get(account.id, keyId), now()),
    }),
  });

const changeKey = (options: ApiKeyRouteOptions): Route =>
  defineRoute({
    method: 'patch',
    path: ONE,
    summary: 'Change an API key',
    about: 'One that has expired stays so.',
    tag: TAG,
    access: 'person',
    permission: 'api-keys:write',
    params: OneKey,
    body: KeyChanges,
    answers: { 200: { about: 'The key as it is now.', schema: Key } },
    refusals: ['conflict'],
    handle: async ({ caller, params: { key_id: keyId }, body }) => ({
      status: 200,
      body: toView(
        await options.apiKeys.update(askingOf(caller, options), keyId, toChanges(body)),
        options.now(),
      ),
    }),
  });

const rotateKey = ({ apiKeys, now }: ApiKeyRouteOptions): Route =>
  defineRoute({
    method: 'post',
    path: `${ONE}/rotate`,
    summary: 'Give an API key a new secret',
    about:
      'It keeps its name, scopes and end. Of several rotations the secret before the last one may go on.',
    tag: TAG,
    access: 'person',
    permission: 'api-keys:write',
    params: OneKey,
    body: Rotation,
    answers: { 200: { about: 'The key with its new secret.', schema: KeyWithSecret } },
    refusals: ['conflict'],
    handle: async ({ caller: { account }, params: { key_id: keyId }, body: { overlap } }) => {
      const { key, secret } = await apiKeys.rotate(account.id, keyId, overlap);
      return { status: 200, body: { ...toView(key, now()), secret } };
    },
  });

const deleteKey = ({ apiKeys }: ApiKeyRouteOptions): Route =>
  defineRoute({
    method: 'delete',
    path: ONE,
    summary: 'Delete an API key',
    about: 'It is refused at once.',
    tag: TAG,
    access: 'person',
    permission: 'api-keys:write',
    params: OneKey,
    answers: { 204: { about: 'The key is gone.' } },
    handle: async ({ caller: { account }, params: { key_id: keyId } }) => {
      await apiKeys.delete(account.id, keyId);
      return { status: 204 };
    },
  });
