/** Two items of a list that have one value where each needs its own: told at the second one. */
import type { z } from 'zod';

/** Refuses a second item whose field has the same key; a field that is left out is none. */
export const refuseRepeated =
  <Field extends string>(list: string, field: Field, keyOf: (value: string) => string) =>
  (
    items: readonly Readonly<Partial<Record<Field, string | undefined>>>[],
    context: z.RefinementCtx,
  ): void => {
    const seen = new Map<string, number>();
    for (const [index, { [field]: value }] of items.entries()) {
      if (value === undefined) continue;
      const first = seen.get(keyOf(value));
      if (first === undefined) {
        seen.set(keyOf(value), index);
        continue;
      }
      const message = `"${value}" is the ${field} of ${list}[${first}] already`;
      context.addIssue({ code: 'custom', path: [index, field], message });
    }
  };
