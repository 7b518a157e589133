/** Records that a driver keeps as JSON, parsed once: what stands in the store is compared with the text last seen. */

const MAX_PARSED = 1_000;

/** Makes the parser of one kind of record. An unchanged record is the same object each time, so nobody may change it. */
export function createRecordParser<T>(): (id: string, text: string) => T {
  const parsed = new Map<string, { readonly text: string; readonly record: T }>();
  return (id, text) => {
    const known = parsed.get(id);
    if (known?.text === text) return known.record;
    const record = JSON.parse(text) as T; // each store writes its records from the type that it reads here
    if (parsed.size >= MAX_PARSED) parsed.clear();
    parsed.set(id, { text, record });
    return record;
  };
}
