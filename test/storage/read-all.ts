/** Reads a list of a store to its end. */
import type { Page } from '../../src/storage/port.ts';

export async function readAll<T>(list: (after?: string) => Promise<Page<T>>): Promise<T[]> {
  const items: T[] = [];
  let page = await list();
  while (page.next !== null) {
    items.push(...page.items);
    page = await list(page.next);
  }
  return [...items, ...page.items];
}
