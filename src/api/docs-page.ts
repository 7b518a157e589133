/** The OpenAPI document as a page shows it: requests by subject, with their fields in rows. */
import type { oas31 } from 'zod-openapi';

import type { OpenApiDocument } from './openapi.ts';

const METHODS = ['get', 'post', 'put', 'patch', 'delete'] as const;
const JSON_TYPE = 'application/json';
const REFERENCE = '#/components/schemas/';
/** Fields of fields, and no further: a page, not a listing. */
const MAX_DEPTH = 2;

export interface DocsPage {
  readonly title: string;
  readonly about: string;
  readonly server: string;
  readonly subjects: readonly { readonly name: string; readonly requests: readonly DocsRequest[] }[];
}

export interface DocsRequest {
  readonly id: string;
  readonly method: string;
  readonly path: string;
  readonly summary: string;
  readonly about: string | null;
  readonly needsToken: boolean;
  readonly takesKey: boolean;
  readonly parameters: readonly DocsField[];
  readonly body: readonly DocsField[];
  readonly answers: readonly {
    readonly status: string;
    readonly about: string;
    readonly fields: readonly DocsField[];
  }[];
}

export interface DocsField {
  /** As in `user.email`, `sessions[].id`. */
  readonly name: string;
  readonly type: string;
  readonly isRequired: boolean;
  readonly about: string | null;
}

type Schema = oas31.SchemaObject | oas31.ReferenceObject;

/** What the page shows of a document. */
export function toDocsPage(document: OpenApiDocument): DocsPage {
  const requests = Object.entries(document.paths ?? {}).flatMap(([path, item]) =>
    METHODS.flatMap((method) => {
      const operation = item[method];
      return operation === undefined ? [] : [toRequest(method, path, operation, document)];
    }),
  );
  const { title, description } = document.info;
  return {
    title,
    about: description ?? '',
    server: document.servers?.[0]?.url ?? '',
    subjects: (document.tags ?? []).map(({ name }) => ({
      name,
      requests: requests.filter(({ tag }) => tag === name),
    })),
  };
}

function toRequest(
  method: string,
  path: string,
  operation: oas31.OperationObject,
  document: OpenApiDocument,
): DocsRequest & { readonly tag: string | undefined } {
  const { operationId = '', tags, summary = '', description, security = [], parameters = [] } = operation;
  const { requestBody, responses = {} } = operation;
  return {
    tag: tags?.[0],
    id: operationId,
    method: method.toUpperCase(),
    path,
    summary,
    about: description ?? null,
    needsToken: security.length > 0,
    takesKey: security.some((scheme) => 'key' in scheme),
    parameters: parameters.flatMap((parameter) =>
      '$ref' in parameter
        ? []
        : [toField(parameter.name, parameter.schema, parameter.required === true, document)],
    ),
    body: requestBody === undefined || '$ref' in requestBody ? [] : fieldsIn(requestBody.content, document),
    answers: Object.entries(responses as Readonly<Record<string, oas31.ResponseObject>>).map(
      ([status, { description: about, content }]) => ({ status, about, fields: fieldsIn(content, document) }),
    ), // createDocument() refers to no response elsewhere
  };
}

function fieldsIn(content: oas31.ContentObject | undefined, document: OpenApiDocument): readonly DocsField[] {
  const schema = content?.[JSON_TYPE]?.schema;
  return schema === undefined ? [] : fieldsOf(schema, '', 0, document);
}

function fieldsOf(
  schema: Schema,
  prefix: string,
  depth: number,
  document: OpenApiDocument,
): readonly DocsField[] {
  const { properties = {}, required = [] } = resolve(schema, document);
  return Object.entries(properties).flatMap(([name, field]) => {
    const path = prefix + name;
    const own = toField(path, field, required.includes(name), document);
    if (depth === MAX_DEPTH) return [own];
    const { items } = resolve(field, document);
    return [
      own,
      ...fieldsOf(items ?? field, `${path}${items === undefined ? '.' : '[].'}`, depth + 1, document),
    ];
  });
}

function toField(
  name: string,
  given: Schema | undefined,
  isRequired: boolean,
  document: OpenApiDocument,
): DocsField {
  const about = given !== undefined && 'description' in given ? (given.description ?? null) : null;
  return { name, type: given === undefined ? 'any' : typeOf(resolve(given, document)), isRequired, about };
}

function typeOf({ type, enum: values, const: only, format, anyOf }: oas31.SchemaObject): string {
  if (values !== undefined) return values.map((value) => JSON.stringify(value)).join(' | ');
  if (only !== undefined) return JSON.stringify(only);
  if (anyOf !== undefined) return anyOf.map((one) => ('$ref' in one ? 'object' : typeOf(one))).join(' | ');
  const named = Array.isArray(type) ? type.join(' | ') : (type ?? 'any');
  return format === undefined ? named : `${named} (${format})`;
}

function resolve(schema: Schema, { components }: OpenApiDocument): oas31.SchemaObject {
  if (!isReference(schema)) return schema;
  const found = components?.schemas?.[schema.$ref.slice(REFERENCE.length)];
  return found === undefined || isReference(found) ? {} : found;
}

const isReference = (schema: Schema): schema is oas31.ReferenceObject => typeof schema.$ref === 'string';
