/** The JSON Schema of customers' metadata: a file that is read and compiled once, so that a broken one ends the start. */
import fs from 'node:fs';

import { compileJsonSchema } from '../json-schema.ts';
import type { ConfigFault, Source } from './faults.ts';
import { settingFault } from './refusals.ts';
import { errorCode } from './secret-sources.ts';

const MAX_BYTES = 65_536;
const EXPECTED = 'a JSON Schema (draft 2020-12) for an object, in a file of at most 64 KiB';

type Inspected = { readonly path: string; readonly schema: object } | { readonly found: string };

/** Reads it; tells what was found in its place. */
export function inspectMetadataSchema(file: string): Inspected {
  const text = readText(file);
  if (typeof text !== 'string') return text;
  const schema = parse(text);
  if (typeof schema !== 'object' || schema === null) return { found: `found no JSON object in ${file}` };
  const compiled = compileJsonSchema(schema);
  return compiled.ok
    ? { path: file, schema }
    : { found: `found no such schema in ${file} (${compiled.message})` };
}

function readText(file: string): string | { readonly found: string } {
  try {
    if (fs.statSync(file).size > MAX_BYTES) return { found: `found ${file}, which is larger than 64 KiB` };
    return fs.readFileSync(file, 'utf8');
  } catch (error) {
    return { found: `found ${file}, which cannot be read (${errorCode(error)})` };
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** The fault of it, where there is one. */
export function metadataSchemaFaults(inspected: Inspected | null, source: Source): readonly ConfigFault[] {
  if (inspected === null || 'schema' in inspected) return [];
  const remedy = 'Mend the file, or set CUSTOMERS_METADATA_SCHEMA=none to take any metadata.';
  return [settingFault('customersMetadataSchema', source, inspected.found, EXPECTED, remedy)];
}
