/** "Did you mean": finds the setting that somebody probably wanted to write. */

/** The candidate nearest to a path that does not exist, or null where none is near. */
export function nearest(path: string, candidates: readonly string[]): string | null {
  const wanted = normalise(path);
  const ranked = candidates
    .map((candidate) => ({ candidate, steps: stepsTo(wanted, candidate) }))
    .sort((one, other) => one.steps - other.steps);
  const best = ranked[0];
  return best !== undefined && best.steps <= Math.max(2, Math.floor(wanted.length / 4))
    ? best.candidate
    : null;
}

/** From the name as written to a candidate's whole path, or to its last part where the section was forgotten. */
function stepsTo(wanted: string, candidate: string): number {
  const lastPart = candidate.slice(candidate.lastIndexOf('.') + 1);
  return Math.min(editDistance(wanted, normalise(candidate)), editDistance(wanted, normalise(lastPart)));
}

function normalise(name: string): string {
  return name
    .toLowerCase()
    .replace(/[^a-z0-9]/g, '')
    .slice(0, 60);
}

/** Insertions, deletions and replacements from one text to the other (Levenshtein). */
function editDistance(one: string, other: string): number {
  let row = Array.from({ length: other.length + 1 }, (_, at) => at);
  for (const [at, character] of Array.from(one).entries()) {
    const next = [at + 1];
    for (const [column, wanted] of Array.from(other).entries()) {
      const replaced = (row[column] ?? 0) + (character === wanted ? 0 : 1);
      next.push(Math.min(replaced, (row[column + 1] ?? 0) + 1, (next[column] ?? 0) + 1));
    }
    row = next;
  }
  return row.at(-1) ?? 0;
}
