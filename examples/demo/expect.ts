/** What a step expects of an answer, and what of it did not come. Pure. */
import { types } from 'node:util';

import type { Answer } from './exchange.ts';
import { shorten } from './secrets.ts';

type Value = string | number | boolean | null | RegExp;

export interface Expected {
  readonly status: number | readonly number[];
  /** Headers by name. */
  readonly headers?: Readonly<Record<string, RegExp>>;
  /** Parts of the body by path: `user.role`, `sessions.0.current`, `items.length`. */
  readonly body?: Readonly<Record<string, Value>>;
  /** What it shows, once it came so. */
  readonly so: string;
}

/** A sentence for each surprise; none where the answer is as expected. */
export function judge(answer: Answer, { status, headers = {}, body = {} }: Expected): readonly string[] {
  const statuses = typeof status === 'number' ? [status] : status;
  if (!statuses.includes(answer.status)) {
    return [`expected the status ${statuses.join(' or ')}; ${answer.status} came`];
  }
  return [
    ...(answer.status < 400 ? [] : judgeProblem(answer)),
    ...Object.entries(headers).flatMap(([name, value]) =>
      compare(`the header ${name}`, answer.headers.get(name) ?? undefined, value),
    ),
    ...Object.entries(body).flatMap(([path, value]) =>
      compare(path, valueAt(answer.body, path), value, path),
    ),
  ];
}

/** Every refusal of the API is a Problem (RFC 9457). */
const judgeProblem = ({ status, headers, body }: Answer): readonly string[] => [
  ...compare(
    'the header Content-Type',
    headers.get('Content-Type') ?? undefined,
    /^application\/problem\+json\b/,
  ),
  ...compare('status', valueAt(body, 'status'), status),
  ...compare('detail', valueAt(body, 'detail'), /./),
];

/** `key`: the field's name, by which a secret is known. */
function compare(what: string, found: unknown, expected: Value, key = ''): readonly string[] {
  const fits = types.isRegExp(expected)
    ? expected.test(typeof found === 'string' ? found : JSON.stringify(found))
    : found === expected;
  if (fits && found !== undefined) return [];
  const wanted = types.isRegExp(expected) ? `like ${String(expected)}` : tell(expected, key);
  const came = found === undefined ? 'there was none' : `${tell(found, key)} came`;
  return [`expected ${what} to be ${wanted}; ${came}`];
}

const tell = (value: unknown, key: string): string => JSON.stringify(shorten(value, key.split('.').at(-1)));

/** What stands at a path of a body; undefined where nothing does. */
export function valueAt(body: unknown, path: string): unknown {
  return path.split('.').reduce<unknown>((value, part) => {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, part)) return undefined;
    return (value as Readonly<Record<string, unknown>>)[part]; // it has it
  }, body);
}

/** The text at a path of a body that was judged already; empty where there is none. */
export function textAt(body: unknown, path: string): string {
  const value = valueAt(body, path);
  return typeof value === 'string' ? value : '';
}
