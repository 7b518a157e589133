/**
 * `apply`: makes the store as a file says. Everything is planned, and every conflict told, before anything is
 * written; what the file does not name is left alone. Applying twice changes nothing the second time.
 */
import { isAppError, messageOf } from '../errors.ts';

/** What saving one item would do. */
export interface Plan {
  readonly action: 'create' | 'update' | 'none';
  readonly changes: readonly string[];
  /** It takes something that has to be given to another one first: saved after those that do not. */
  readonly takes?: boolean;
  save(): Promise<{ readonly secret: string | null }>;
}

interface SectionItem {
  readonly id: string;
  /** Two items of one key are the same thing; the id itself where it is left out. */
  readonly key?: string;
  readonly plan: () => Promise<Plan>;
}

/** One list of the file and how an item of it is planned. */
export interface Section {
  readonly name: string;
  readonly items: readonly SectionItem[];
}

export interface AppliedItem {
  readonly section: string;
  readonly id: string;
  readonly action: Plan['action'];
  readonly changes: readonly string[];
  /** Made by this run, shown once. */
  readonly secret: string | null;
}

export type ApplyResult =
  | { readonly ok: true; readonly items: readonly AppliedItem[] }
  | { readonly ok: false; readonly faults: readonly ItemFault[]; readonly items: readonly AppliedItem[] };

interface PlannedItem {
  readonly section: string;
  readonly index: number;
  readonly id: string;
  readonly plan: Plan;
}

interface ItemFault {
  /** Section and index. */
  readonly path: readonly [string, number];
  readonly message: string;
}

/** Plans all sections in their order and, unless `dryRun`, saves them. */
export async function applySections(sections: readonly Section[], dryRun: boolean): Promise<ApplyResult> {
  const planned: PlannedItem[] = [];
  const faults = repeatedIds(sections);
  for (const { name, items } of sections) {
    for (const [index, { id, plan }] of items.entries()) {
      try {
        planned.push({ section: name, index, id, plan: await plan() });
      } catch (error) {
        if (!isAppError(error) || error.status >= 500) throw error;
        faults.push({ path: [name, index], message: error.message });
      }
    }
  }
  if (faults.length > 0) return { ok: false, faults, items: [] };
  return saveAll(planned, dryRun);
}

/** What was saved before a save failed is told, whatever the failure: its secrets are not to be had again. */
async function saveAll(planned: readonly PlannedItem[], dryRun: boolean): Promise<ApplyResult> {
  const items: AppliedItem[] = [];
  const takesLast = planned.toSorted((a, b) => Number(a.plan.takes ?? false) - Number(b.plan.takes ?? false));
  for (const { section, index, id, plan } of takesLast) {
    try {
      const secret = dryRun ? null : (await plan.save()).secret;
      items.push({ section, id, action: plan.action, changes: plan.changes, secret });
    } catch (error) {
      return { ok: false, faults: [{ path: [section, index], message: messageOf(error) }], items };
    }
  }
  return { ok: true, items };
}

/** Two items of one id would each undo the other at every run. Clients and VPN nodes share their ids. */
function repeatedIds(sections: readonly Section[]): ItemFault[] {
  const seen = new Map<string, string>();
  return sections.flatMap(({ name, items }) =>
    items.flatMap(({ id, key = id }, index) => {
      const first = seen.get(key);
      if (first !== undefined)
        return [{ path: [name, index] as const, message: `"${id}" stands already at ${first}` }];
      seen.set(key, `${name}[${index}]`);
      return [];
    }),
  );
}
