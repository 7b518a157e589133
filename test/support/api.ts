/**
 * A client of the JSON API that believes nothing: each answer is checked against the OpenAPI document that the
 * server itself gives, its status, its kind and its body.
 */
import { randomUUID } from 'node:crypto';

import { Ajv2020 } from 'ajv/dist/2020.js';
import type { ValidateFunction } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';

import type { TestServer } from './server.ts';

export const PASSWORD = 'Tr0ub4dor&3x';
export const BROWSER = 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0';
export const OTHER_BROWSER =
  'Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Mobile/15E148 Safari/604.1';

const DOCUMENT = 'openapi';
const METHODS = ['get', 'post', 'put', 'patch', 'delete'];

export interface ApiAnswer {
  readonly status: number;
  readonly headers: Headers;
  /** Undefined for an answer without a body. */
  readonly body: Record<string, unknown> | undefined;
}

export interface ApiCall {
  /** Sent as JSON. */
  readonly body?: unknown;
  /** Sent as it stands, in the place of `body`. */
  readonly text?: string;
  readonly token?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Another instance. */
  readonly origin?: string;
}

export interface ApiClient {
  readonly document: OpenApi;
  call(method: string, path: string, call?: ApiCall): Promise<ApiAnswer>;
}

export interface OpenApi {
  readonly openapi: string;
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
}

interface Operation {
  readonly responses: Readonly<Record<string, { readonly content?: Readonly<Record<string, object>> }>>;
}

/** Fetches the document, and compiles its schemas at need. */
export async function createApiClient(server: TestServer): Promise<ApiClient> {
  const document = (await (await server.request('/openapi.json')).json()) as OpenApi;
  const ajv = new Ajv2020({ strict: false, allErrors: true });
  addFormats.default(ajv);
  ajv.addSchema(document, DOCUMENT);
  const validators = new Map<string, ValidateFunction>();
  const validatorOf = (pointer: readonly string[]): ValidateFunction => {
    const reference = `${DOCUMENT}#/${pointer.map(escapePointer).join('/')}`;
    let validator = validators.get(reference);
    if (validator === undefined) validators.set(reference, (validator = ajv.compile({ $ref: reference })));
    return validator;
  };

  const check = (method: string, path: string, answer: ApiAnswer): void => {
    const [template, operation] = findOperation(document, method, path);
    const at = `${method} ${path} → ${answer.status}`;
    const told = operation?.responses[String(answer.status)];
    const type = answer.headers.get('content-type')?.split(';')[0];
    if (template === null || told === undefined) {
      // Not of a route: 404 and 405, as every Problem is.
      if (operation !== undefined) throw new Error(`${at} is not in the document`);
      if (type !== 'application/problem+json') throw new Error(`${at} is no Problem but ${String(type)}`);
      validate(validatorOf(['components', 'schemas', 'Problem']), answer.body, at);
      return;
    }
    if (told.content === undefined) {
      if (answer.body !== undefined) throw new Error(`${at} has a body: ${JSON.stringify(answer.body)}`);
      return;
    }
    if (type === undefined || told.content[type] === undefined) throw new Error(`${at} is ${String(type)}`);
    const pointer = ['paths', template, method.toLowerCase(), 'responses', String(answer.status)];
    validate(validatorOf([...pointer, 'content', type, 'schema']), answer.body, at);
  };

  return {
    document,
    call: async (method, path, { body, text, token, headers = {}, origin = server.origin } = {}) => {
      const sent = text ?? (body === undefined ? undefined : JSON.stringify(body));
      const response = await fetch(`${origin}${path}`, {
        method,
        headers: {
          'user-agent': BROWSER,
          ...(sent !== undefined && { 'content-type': 'application/json' }),
          ...(token !== undefined && { authorization: `Bearer ${token}` }),
          ...headers,
        },
        ...(sent !== undefined && { body: sent }),
      });
      const content = await response.text();
      const answer = {
        status: response.status,
        headers: response.headers,
        body: content === '' ? undefined : (JSON.parse(content) as Record<string, unknown>),
      };
      check(method, path.split('?')[0] ?? '', answer);
      return answer;
    },
  };
}

function validate(validator: ValidateFunction, body: unknown, at: string): void {
  if (!validator(body)) throw new Error(`${at}: ${JSON.stringify(body)} ${JSON.stringify(validator.errors)}`);
}

/** The template of the path, and what it does under the method; a path may end in a slash. */
function findOperation(
  { paths }: OpenApi,
  method: string,
  path: string,
): readonly [string | null, Operation | undefined] {
  const bare = path.replace(/\/$/, '');
  const template = Object.keys(paths).find((it) =>
    new RegExp(`^${it.replaceAll(/\{\w+\}/g, '[^/]+')}$`).test(bare),
  );
  if (template === undefined || !METHODS.includes(method.toLowerCase())) return [null, undefined];
  return [template, paths[template]?.[method.toLowerCase()]];
}

const escapePointer = (part: string): string =>
  encodeURIComponent(part.replaceAll('~', '~0').replaceAll('/', '~1'));

export interface ApiPerson {
  readonly username: string;
  readonly email: string;
  readonly password: string;
}

export const newPerson = (): ApiPerson => {
  const username = `person-${randomUUID().slice(0, 8)}`;
  return { username, email: `${username}@example.com`, password: PASSWORD };
};

export interface SignedIn extends ApiPerson {
  readonly token: string;
  readonly refreshToken: string;
}

/** Somebody new, who registered by the API. */
export async function register(api: ApiClient): Promise<ApiPerson> {
  const person = newPerson();
  const answer = await api.call('POST', '/api/v1/auth/register', { body: person });
  if (answer.status !== 201) throw new Error(JSON.stringify(answer.body));
  return person;
}

export async function login(
  api: ApiClient,
  { username, password, email }: ApiPerson,
  fields: object = {},
  headers: Readonly<Record<string, string>> = {},
): Promise<SignedIn> {
  const body = { username, password, ...fields };
  const answer = await api.call('POST', '/api/v1/auth/login', { body, headers });
  if (answer.status !== 200) throw new Error(JSON.stringify(answer.body));
  return {
    ...{ username, password, email },
    token: String(answer.body?.['access_token']),
    refreshToken: String(answer.body?.['refresh_token']),
  };
}

/** Somebody new who signed in. */
export const enter = async (api: ApiClient, fields: object = {}): Promise<SignedIn> =>
  login(api, await register(api), fields);
