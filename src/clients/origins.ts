/**
 * The origins of all registered redirect URIs: where apps in a browser come from. A preflight request names no
 * client (Fetch standard), so it takes all of them together. They are read at once and kept for a moment: asking
 * for unknown origins, again and again, costs the store next to nothing.
 */
import type { ClientStore } from '../storage/port.ts';

// A client that was just registered is let in within this time.
const KEPT_MS = 5_000;
const PAGE = 500;

/** Tells whether an origin is one of them. */
export type IsClientOrigin = (origin: string) => Promise<boolean>;

export function createClientOrigins(clients: Pick<ClientStore, 'list'>): IsClientOrigin {
  let kept: { readonly origins: Promise<ReadonlySet<string>>; readonly readAt: number } | null = null;

  return async (origin) => {
    if (kept === null || performance.now() - kept.readAt > KEPT_MS) {
      const reading = readOrigins(clients);
      kept = { origins: reading, readAt: performance.now() };
      reading.catch(() => {
        if (kept?.origins === reading) kept = null;
      });
    }
    return (await kept.origins).has(origin);
  };
}

async function readOrigins(clients: Pick<ClientStore, 'list'>): Promise<ReadonlySet<string>> {
  const origins = new Set<string>();
  let after: string | undefined;
  do {
    const { items, next } = await clients.list({ after, limit: PAGE });
    for (const { metadata } of items) for (const uri of urisOf(metadata)) addOrigin(origins, uri);
    after = next ?? undefined;
  } while (after !== undefined);
  return origins;
}

const urisOf = ({ redirect_uris }: Readonly<Record<string, unknown>>): readonly unknown[] =>
  Array.isArray(redirect_uris) ? redirect_uris : [];

/** A private-use scheme has no origin: its URL calls it "null", which every sandboxed frame has. */
function addOrigin(origins: Set<string>, uri: unknown): void {
  if (typeof uri !== 'string' || !URL.canParse(uri)) return;
  const { origin } = new URL(uri);
  if (origin !== 'null') origins.add(origin);
}
