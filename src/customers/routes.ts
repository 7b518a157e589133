/**
 * The requests of contracts under `/api/v1/customers`, and the same under `/api/v1/admin/customers`: for administrators,
 * and for clients that administer.
 */
import { z } from 'zod';

import type { Asking } from '../api/caller.ts';
import { listOf, pageOf, PageQuery } from '../api/cursor.ts';
import type { Cursors } from '../api/cursor.ts';
import { defineRoute } from '../api/route.ts';
import type { Route } from '../api/route.ts';
import type { Recorder } from '../audit/entry.ts';
import { TYPE, USERNAME } from '../sdk/customers/customer.ts';
import type { Tiers } from '../sdk/customers/claims.ts';
import type { CustomerAdministration } from './customers.ts';
import { CustomerChanges, CustomerInput, CustomerView, toView } from './schema.ts';
import type { CustomerTokens } from './tokens.ts';

const TAG = 'Customers';
const BASES = ['/api/v1/customers', '/api/v1/admin/customers'] as const;
const FOR_ADMINISTRATORS = { tag: TAG, access: { role: 'admin' } } as const;

export interface CustomerRouteOptions {
  readonly tiers: Tiers;
  readonly tokens: CustomerTokens;
  readonly customersAs: (record: Recorder) => CustomerAdministration;
  readonly recorderOf: (asking: Asking) => Recorder;
  readonly cursors: Cursors;
}

const Username = z.string().regex(USERNAME).meta({ description: 'In any case.' });
const One = z.strictObject({ username: Username });
const OneToken = z.strictObject({ username: Username, jti: z.string().min(1).max(200) });

const Query = PageQuery.extend({
  q: z.string().min(1).max(64).optional().meta({ description: 'How the username begins, in any case.' }),
  customer_type: z.string().regex(TYPE).optional(),
  sort: z.literal('username').optional().meta({ description: 'The order there is, and the default.' }),
});

const TokenRequest = z.strictObject({
  expires_in: z
    .int()
    .min(1)
    .optional()
    .meta({ description: 'Seconds; the default of the settings if left out.' }),
});

const IssuedToken = z
  .object({
    access_token: z.string().meta({ description: 'The token of the customer, for the gateway.' }),
    token_type: z.string().meta({ const: 'Bearer' }),
    expires_in: z.int(),
    jti: z.string().meta({ description: 'Names the token where it is to be revoked.' }),
  })
  .meta({ id: 'CustomerToken' });

/** The routes, in the order in which the document tells them. */
export const createCustomerRoutes = (options: CustomerRouteOptions): readonly Route[] =>
  BASES.flatMap((base) => [
    createOne(base, options),
    list(base, options),
    readOne(`${base}/{username}`, options),
    changeOne(`${base}/{username}`, options),
    deleteOne(`${base}/{username}`, options),
    issueToken(`${base}/{username}/tokens`, options),
    revokeTokens(`${base}/{username}/tokens`, options),
    revokeToken(`${base}/{username}/tokens/{jti}`, options),
  ]);

const customersFor = (asking: Asking, { customersAs, recorderOf }: CustomerRouteOptions) =>
  customersAs(recorderOf(asking));

const createOne = (path: string, options: CustomerRouteOptions): Route =>
  defineRoute({
    ...FOR_ADMINISTRATORS,
    method: 'post',
    path,
    summary: 'Make a customer',
    about:
      'Its token is measured: what would make it larger than the settings allow is refused with its size.',
    permission: 'admin:customers:write',
    body: CustomerInput,
    answers: { 201: { about: 'The customer is made.', schema: CustomerView } },
    refusals: ['conflict'],
    handle: async (request) => {
      const customer = await customersFor(request, options).create(request.body);
      return { status: 201, body: toView(customer, options.tiers) };
    },
  });

const list = (path: string, options: CustomerRouteOptions): Route =>
  defineRoute({
    ...FOR_ADMINISTRATORS,
    method: 'get',
    path,
    summary: 'List customers',
    permission: 'admin:customers:read',
    query: Query,
    answers: {
      200: {
        about: 'A page of them, in the order of their usernames.',
        schema: pageOf(CustomerView),
      },
    },
    handle: async (request) => {
      const { limit, after, sort: _sort, ...filter } = request.query;
      const { q: startsWith, customer_type: customerType } = filter;
      const { cursors, tiers } = options;
      const asked = listOf('customers', request, filter);
      const page = cursors.read(asked, { limit, after });
      const { items, next } = await customersFor(request, options).list(page, { startsWith, customerType });
      const views = items.map((customer) => toView(customer, tiers));
      return { status: 200, body: { items: views, next: cursors.write(asked, next) } };
    },
  });

const readOne = (path: string, options: CustomerRouteOptions): Route =>
  defineRoute({
    ...FOR_ADMINISTRATORS,
    method: 'get',
    path,
    summary: 'Read a customer',
    permission: 'admin:customers:read',
    params: One,
    answers: { 200: { about: 'The customer.', schema: CustomerView } },
    handle: async (request) => {
      const customer = await customersFor(request, options).get(request.params.username);
      return { status: 200, body: toView(customer, options.tiers) };
    },
  });

const changeOne = (path: string, options: CustomerRouteOptions): Route =>
  defineRoute({
    ...FOR_ADMINISTRATORS,
    method: 'patch',
    path,
    summary: 'Change a customer',
    about:
      'It counts at the next token; with customers.revoke_on_change it ends those from before. Metadata is replaced as a whole; null takes a field away.',
    permission: 'admin:customers:write',
    params: One,
    body: CustomerChanges,
    answers: { 200: { about: 'The customer as it is now.', schema: CustomerView } },
    refusals: ['conflict'],
    handle: async (request) => {
      const { username } = request.params;
      const customer = await customersFor(request, options).update(username, request.body);
      return { status: 200, body: toView(customer, options.tiers) };
    },
  });

const deleteOne = (path: string, options: CustomerRouteOptions): Route =>
  defineRoute({
    ...FOR_ADMINISTRATORS,
    method: 'delete',
    path,
    summary: 'Delete a customer',
    about: 'Its tokens are over: introspection says so at once, and the feed that gateways follow.',
    permission: 'admin:customers:write',
    params: One,
    answers: { 204: { about: 'The customer is gone.' } },
    handle: async (request) => {
      await customersFor(request, options).delete(request.params.username);
      return { status: 204 };
    },
  });

const issueToken = (path: string, options: CustomerRouteOptions): Route =>
  defineRoute({
    ...FOR_ADMINISTRATORS,
    method: 'post',
    path,
    summary: 'Issue a token to a customer',
    about: 'A JWT by ES256, which a gateway checks by the JWKS of this server; no endpoint here takes it.',
    permission: 'admin:customers:write',
    params: One,
    body: TokenRequest,
    answers: { 201: { about: 'The token.', schema: IssuedToken } },
    refusals: ['conflict'],
    handle: async (request) => {
      const customer = await customersFor(request, options).get(request.params.username);
      const record = options.recorderOf(request);
      const { token, payload } = await options.tokens.issue(customer, request.body.expires_in, record);
      const { iat, exp, jti } = payload;
      return {
        status: 201,
        body: { access_token: token, token_type: 'Bearer', expires_in: exp - iat, jti },
      };
    },
  });

const revokeTokens = (path: string, options: CustomerRouteOptions): Route =>
  defineRoute({
    ...FOR_ADMINISTRATORS,
    method: 'delete',
    path,
    summary: 'Revoke every token of a customer',
    about: 'All that were issued until now are over, by introspection and in the feed that gateways follow.',
    permission: 'admin:customers:write',
    params: One,
    answers: { 204: { about: 'They are over.' } },
    refusals: ['conflict'],
    handle: async (request) => {
      await customersFor(request, options).revokeTokens(request.params.username);
      return { status: 204 };
    },
  });

const revokeToken = (path: string, options: CustomerRouteOptions): Route =>
  defineRoute({
    ...FOR_ADMINISTRATORS,
    method: 'delete',
    path,
    summary: 'Revoke one token of a customer',
    about: 'By its `jti`. Doing it twice does no harm.',
    permission: 'admin:customers:write',
    params: OneToken,
    answers: { 204: { about: 'It is over.' } },
    handle: async (request) => {
      const customer = await customersFor(request, options).get(request.params.username);
      await options.tokens.revoke(customer, request.params.jti, options.recorderOf(request));
      return { status: 204 };
    },
  });
