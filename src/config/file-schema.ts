/** The JSON Schema of the settings file, made from the table of settings, for editors and for review. */
import * as z from 'zod';

import { SETTINGS, SETTING_NAMES } from './settings.ts';

type Shape = Record<string, z.ZodType>;

/** The schema, as draft 2020-12. */
export function settingsFileSchema(): object {
  const top: Shape = {};
  const sections: Record<string, Shape | undefined> = {};
  const defaults = new Map<unknown, unknown>();
  for (const name of SETTING_NAMES) {
    const { path, schema, about, default: fallback } = SETTINGS[name];
    const [key, section] = path.split('.').reverse();
    const shape = section === undefined ? top : (sections[section] ??= {});
    const entry = schema.optional().meta({ description: about });
    shape[key ?? path] = entry;
    if (fallback !== null) defaults.set(entry, fallback);
  }
  for (const [section, shape = {}] of Object.entries(sections))
    top[section] = z.strictObject(shape).optional();
  return z.toJSONSchema(z.strictObject(top).meta({ title: 'Portcullis settings' }), {
    io: 'input',
    // zod leaves the default out of what it transforms, since its own defaults come after the transformation.
    override: ({ zodSchema, jsonSchema }) => {
      if (defaults.has(zodSchema)) jsonSchema.default = defaults.get(zodSchema);
    },
  });
}
