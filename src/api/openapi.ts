/** The OpenAPI 3.1 document, made of the definitions by which the routes answer. */
import { z } from 'zod';
import { createDocument } from 'zod-openapi';
import type {
  oas31,
  ZodOpenApiOperationObject,
  ZodOpenApiRequestBodyObject,
  ZodOpenApiResponsesObject,
} from 'zod-openapi';

import { ERROR_TABLE } from '../errors.ts';
import type { ErrorCode } from '../errors.ts';
import type { Access, RouteFacts } from './route.ts';

export type OpenApiDocument = oas31.OpenAPIObject;

export interface DocumentOptions {
  readonly issuer: string;
  readonly product: string;
}

/** Of the API, as its paths say it. */
const VERSION = '1';

const ABOUT =
  'Every refusal is a Problem (RFC 9457). Answers carry RateLimit and RateLimit-Policy; 429 and 503 say by ' +
  'Retry-After when to come back. Each path works with a trailing slash, too.';

/** RFC 9457 3; as `http/errors.ts` writes it. */
const Problem = z
  .strictObject({
    type: z.string(),
    title: z.string().meta({ description: 'The status in words.' }),
    status: z.int(),
    detail: z.string().meta({ description: 'What to do about it.' }),
    errors: z
      .array(z.strictObject({ path: z.string(), message: z.string() }))
      .optional()
      .meta({ description: 'Where in the input each fault is.' }),
  })
  .meta({ id: 'Problem', description: 'Why a request was refused.' });

/** Makes the document; the same routes give the same one. */
export function createOpenApi(routes: readonly RouteFacts[], options: DocumentOptions): OpenApiDocument {
  const { issuer, product } = options;
  return createDocument({
    openapi: '3.1.0',
    info: { title: `${product} API`, version: VERSION, description: ABOUT },
    servers: [{ url: issuer }],
    tags: [...new Set(routes.map(({ tag }) => tag))].map((name) => ({ name })),
    paths: toPaths(routes),
    components: {
      securitySchemes: {
        token: { type: 'http', scheme: 'bearer', description: 'An access token from login, or an API key.' },
        key: { type: 'apiKey', in: 'header', name: 'X-API-Key', description: 'An API key.' },
      },
    },
  });
}

function toPaths(routes: readonly RouteFacts[]): Record<string, Record<string, ZodOpenApiOperationObject>> {
  const paths: Record<string, Record<string, ZodOpenApiOperationObject>> = {};
  for (const route of routes) (paths[route.path] ??= {})[route.method] = toOperation(route);
  return paths;
}

function toOperation(route: RouteFacts): ZodOpenApiOperationObject {
  const { method, path, summary, tag, access, body, query, params } = route;
  return {
    operationId: operationIdOf(method, path),
    tags: [tag],
    summary,
    ...descriptionOf(route),
    security: securityOf(access),
    ...((query ?? params) !== undefined && {
      requestParams: { ...(query && { query }), ...(params && { path: params }) },
    }),
    ...(body && { requestBody: bodyOf(body) }),
    responses: { ...toAnswers(route), ...toRefusals(route) },
  };
}

const bodyOf = (schema: NonNullable<RouteFacts['body']>): ZodOpenApiRequestBodyObject => ({
  required: !schema.safeParse({}).success,
  content: { 'application/json': { schema } },
});

function descriptionOf({ about, permission }: RouteFacts): { readonly description?: string } {
  const needs = permission === undefined ? [] : [`Needs the permission \`${permission}\`.`];
  const sentences = [...(about === undefined ? [] : [about]), ...needs];
  return sentences.length === 0 ? {} : { description: sentences.join(' ') };
}

/** `postAuthLogin` of `POST /api/v1/auth/login`. */
const operationIdOf = (method: string, path: string): string =>
  method +
  path
    .replace('/api/v1/', '/')
    .replaceAll(/[{}]/g, '')
    .replaceAll(/[/-](\w)/g, (_all, letter: string) => letter.toUpperCase());

function securityOf(access: Access): Record<string, string[]>[] {
  if (access === 'public') return [];
  return access === 'person' ? [{ token: [] }] : [{ token: [] }, { key: [] }];
}

const toAnswers = ({ answers }: RouteFacts): ZodOpenApiResponsesObject =>
  Object.fromEntries(
    Object.entries(answers).map(([status, { about, schema }]) => [
      status,
      { description: about, ...(schema && { content: { 'application/json': { schema } } }) },
    ]),
  );

function toRefusals(route: RouteFacts): ZodOpenApiResponsesObject {
  const refusals = new Map<number, string>();
  for (const code of refusalsOf(route)) {
    const { status } = ERROR_TABLE[code];
    refusals.set(status, WHY[status] ?? 'Refused.');
  }
  return Object.fromEntries(
    [...refusals].map(([status, description]) => [
      String(status),
      { description, content: { 'application/problem+json': { schema: Problem } } },
    ]),
  );
}

/** What follows from the definition, and what it names itself. */
function refusalsOf({ access, method, params, refusals = [] }: RouteFacts): readonly ErrorCode[] {
  const ofCaller: readonly ErrorCode[] = access === 'public' ? [] : ['unauthenticated', 'forbidden'];
  const ofBody: readonly ErrorCode[] =
    method === 'get' ? [] : ['payload_too_large', 'unsupported_media_type'];
  const ofPath: readonly ErrorCode[] = params === undefined ? [] : ['not_found'];
  const ofAll: readonly ErrorCode[] = ['invalid_request', 'too_many_requests', 'store_unavailable'];
  return [...ofCaller, ...ofBody, ...ofPath, ...refusals, ...ofAll].sort(
    (a, b) => ERROR_TABLE[a].status - ERROR_TABLE[b].status,
  );
}

const WHY: Readonly<Record<number, string>> = {
  400: 'The input is wrong; `errors` says where.',
  401: 'No credentials, or such as are unknown or over.',
  403: 'The caller may not do this.',
  404: 'There is no such thing, or it is somebody else’s.',
  409: 'It is taken, or changed meanwhile.',
  413: 'The body is too large.',
  415: 'The body is not plain application/json.',
  423: 'Too many wrong passwords: locked until `Retry-After` has passed.',
  429: 'Too many requests.',
  503: 'The server cannot answer just now.',
};
