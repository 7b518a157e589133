/** All that an account has of one model, page by page. */
import type { ArtifactStore, StoredArtifact } from '../storage/port.ts';

const PAGE = 100;

/**
 * Gives every live one that was there at the beginning, also where those of earlier pages are deleted meanwhile.
 * It comes to an end: each page begins behind the last id of the one before.
 */
export async function* eachOfAccount(
  artifacts: Pick<ArtifactStore, 'listOfAccount'>,
  model: string,
  accountId: string,
  now: () => number,
): AsyncGenerator<readonly StoredArtifact[]> {
  let after: string | undefined;
  do {
    const { items, next } = await artifacts.listOfAccount(model, accountId, { after, limit: PAGE }, now());
    yield items;
    after = next ?? undefined;
  } while (after !== undefined);
}

/** All of them together, for a list that is shown. */
export async function allOfAccount(
  ...of: Parameters<typeof eachOfAccount>
): Promise<readonly StoredArtifact[]> {
  const found: StoredArtifact[] = [];
  for await (const page of eachOfAccount(...of)) found.push(...page);
  return found;
}
