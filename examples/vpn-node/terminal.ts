/** What the node's terminal is told: one line a fault whose cause is elsewhere, and the same one once a minute. */
import { isGuardError, isVpnClientError } from '../../src/sdk/node/node.ts';

const SAME_AGAIN_MS = 60_000;

/** A fault in one line, with its cause. */
export function lineOf(error: unknown): string {
  if (!Error.isError(error)) return String(error);
  const cause = Error.isError(error.cause) ? lineOf(error.cause) : '';
  const code = 'code' in error ? String(error.code) : '';
  const line = error.message === '' ? code : error.message;
  return `${line}${cause === '' || line.includes(cause) ? '' : ` (${cause})`}`.replaceAll(/\s+/g, ' ');
}

/** A fault of the node's own keeps its stack. */
export const reportOf = (told: unknown): unknown =>
  isVpnClientError(told) || isGuardError(told) ? lineOf(told) : told;

/** Writes lines; one that was just written is left out, for a minute. `now` in milliseconds. */
export function createTeller(write: (line: string) => void, now: () => number = Date.now) {
  let last = { line: '', at: -Infinity };
  return (line: string): void => {
    if (line === last.line && now() - last.at < SAME_AGAIN_MS) return;
    last = { line, at: now() };
    write(line);
  };
}
