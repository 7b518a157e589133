/** An operator's own JSON Schema (draft 2020-12), compiled: what a value breaks of it, in sentences. */
import { Ajv2020 } from 'ajv/dist/2020.js';

/** One fault: `path` as in `a.b.0`, empty for the whole value. */
export interface SchemaFault {
  readonly path: string;
  readonly message: string;
}

export type CheckJson = (value: unknown) => readonly SchemaFault[];

export type CompiledSchema =
  { readonly ok: true; readonly check: CheckJson } | { readonly ok: false; readonly message: string };

const MAX_FAULTS = 20;

/** A keyword that there is none of is refused: a schema that was mistyped would let everything in. */
export function compileJsonSchema(schema: unknown): CompiledSchema {
  // Formats are notes to the reader in this draft (Validation 7.2.1), and references lead nowhere outside.
  const ajv = new Ajv2020({
    ...{ strictSchema: true, strictTypes: false, strictTuples: false, allErrors: true },
    ...{ validateFormats: false, logger: false },
  });
  try {
    const validate = ajv.compile(schema as object); // whatever it is no schema of is thrown
    return {
      ok: true,
      check: (value) =>
        validate(value)
          ? []
          : (validate.errors ?? []).slice(0, MAX_FAULTS).map(({ instancePath, message, params }) => ({
              path: instancePath.slice(1).replaceAll('/', '.'),
              message: `${message ?? 'not as the schema says'}${hintOf(params)}`,
            })),
    };
  } catch (error) {
    return { ok: false, message: Error.isError(error) ? error.message : 'no JSON Schema' };
  }
}

/** What ajv's sentence leaves out of the two that people meet most. */
function hintOf(params: Readonly<Record<string, unknown>>): string {
  const { allowedValues, additionalProperty } = params;
  if (Array.isArray(allowedValues))
    return `: ${allowedValues.map((value) => JSON.stringify(value)).join(', ')}`;
  return typeof additionalProperty === 'string' ? `, which "${additionalProperty}" is` : '';
}
