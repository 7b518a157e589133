/**
 * What is wrong with data that enters, in our words: what was expected and what was found. One place for JSON
 * bodies, forms, queries, apply files and the command line. A schema's own words come before these.
 */
import type { core, ZodType } from 'zod';

/** One fault; an unknown field is a fault of its own, so that it can be shown beside it. */
export interface PathFault {
  readonly path: readonly PropertyKey[];
  readonly message: string;
}

export type ReadInput<T> =
  { readonly ok: true; readonly value: T } | { readonly ok: false; readonly faults: readonly PathFault[] };

/** Of a value that a message repeats: enough to recognize it. */
const MAX_SHOWN = 60;

const TYPES: Readonly<Record<string, string>> = {
  array: 'a list',
  boolean: 'true or false',
  int: 'a whole number',
  null: 'null',
  object: 'a mapping of fields',
  record: 'a mapping of names',
  string: 'a text',
};

const FORMATS: Readonly<Record<string, string>> = {
  base64url: 'base64url',
  date: 'a date, such as 2026-01-31',
  datetime: 'a date and time with its zone, such as 2026-01-31T12:00:00Z',
  email: 'an email address, such as ada@example.com',
  url: 'a whole URL, such as https://example.com/',
  uuid: 'a UUID',
};

const UNITS: Readonly<Record<string, readonly [one: string, many: string]>> = {
  array: ['item', 'items'],
  map: ['entry', 'entries'],
  set: ['item', 'items'],
  string: ['character', 'characters'],
};

/** Reads a value against a schema. */
export function readInput<T>(schema: ZodType<T>, value: unknown): ReadInput<T> {
  const parsed = schema.safeParse(value, { error: wordsOf });
  return parsed.success
    ? { ok: true, value: parsed.data }
    : { ok: false, faults: parsed.error.issues.filter(isFirst).flatMap(toFaults) };
}

/** A list that is no text has a length, too, of which zod would tell: after a wrong type that says nothing. */
const isFirst = (issue: core.$ZodIssue, _index: number, all: readonly core.$ZodIssue[]): boolean =>
  issue.code === 'unrecognized_keys' ||
  !all.some(
    (other) =>
      other !== issue && other.code === 'invalid_type' && other.path.join('.') === issue.path.join('.'),
  );

function toFaults({ path, message, ...issue }: core.$ZodIssue): readonly PathFault[] {
  if (issue.code !== 'unrecognized_keys') return [{ path, message }];
  return issue.keys.map((key) => ({ path: [...path, key], message }));
}

function wordsOf(issue: core.$ZodRawIssue): string {
  if (issue.input === undefined && (issue.path ?? []).length > 0) return 'this field is missing';
  switch (issue.code) {
    case 'invalid_type':
      return `expected ${typeInWords(issue.expected)}, found ${foundFor(issue.expected, issue.input)}`;
    case 'invalid_value':
      return `expected ${choice(issue.values)}, found ${found(issue.input)}`;
    case 'too_small':
    case 'too_big':
      return outOfBounds(issue);
    case 'invalid_format':
      return `expected ${FORMATS[issue.format] ?? 'another form'}, found another text`;
    case 'not_multiple_of':
      return `expected a multiple of ${issue.divisor}, found ${found(issue.input)}`;
    case 'invalid_union':
      return !Array.isArray(issue.options)
        ? `expected another form, found ${found(issue.input)}`
        : `expected ${choice(issue.options)}`;
    case 'unrecognized_keys':
      return 'there is no such field';
    case 'invalid_key':
      return `expected another name: ${issue.issues[0]?.message ?? 'this one is not possible'}`;
    default:
      return `expected something else, found ${found(issue.input)}`;
  }
}

const typeInWords = (type: string): string => TYPES[type] ?? `a ${type}`;

const foundFor = (expected: string, input: unknown): string =>
  expected === 'int' && typeof input === 'number' ? String(input) : kindOf(input);

function kindOf(input: unknown): string {
  if (input === undefined) return 'nothing';
  if (typeof input === 'boolean') return String(input);
  return typeInWords(input === null ? 'null' : Array.isArray(input) ? 'array' : typeof input);
}

/** Short texts and numbers as they are, since they are compared with a list; all else by its kind. */
function found(input: unknown): string {
  if (typeof input === 'number') return String(input);
  if (typeof input !== 'string') return kindOf(input);
  // Shown in terminals.
  return input.length > MAX_SHOWN ? 'a longer text' : JSON.stringify(input.replaceAll(/\p{C}/gu, '?'));
}

function choice(values: readonly unknown[]): string {
  const shown = values.map((value) => (typeof value === 'string' ? `"${value}"` : String(value)));
  return shown.length === 1 ? shown.join() : `one of ${shown.join(', ')}`;
}

function outOfBounds(issue: core.$ZodRawIssue<core.$ZodIssueTooSmall | core.$ZodIssueTooBig>): string {
  const { input } = issue;
  const limit = Number(issue.code === 'too_small' ? issue.minimum : issue.maximum);
  const side = issue.exact === true ? 'exactly' : issue.code === 'too_small' ? 'at least' : 'at most';
  const [one, many] = UNITS[issue.origin] ?? ['', ''];
  const size = typeof input === 'string' || Array.isArray(input) ? `${input.length || 'none'}` : found(input);
  return `expected ${side} ${`${limit} ${limit === 1 ? one : many}`.trim()}, found ${size}`;
}
