/** What the commands of backups tell: how far they are, what there is, and what does not go together. */
import { sumOf } from '../composition/administration-backup.ts';
import type { Counts, Finding, Findings } from '../composition/administration-backup.ts';
import type { Io } from './io.ts';

const PROGRESS_MS = 2_000;

/** Tells a person at a terminal the sum so far, every two seconds. */
export function showProgress(
  io: Pick<Io, 'err' | 'isTerminal'>,
  nowMs = (): number => performance.now(),
): (step: string, counts: Counts) => void {
  let toldAt = nowMs();
  return (step, counts) => {
    if (!io.isTerminal('err') || nowMs() - toldAt < PROGRESS_MS) return;
    toldAt = nowMs();
    io.err(`${step}: ${sumOf(counts)} records so far.\n`);
  };
}

/** What a store's records are called. */
const WORDS: Readonly<Record<keyof Counts, string>> = {
  signingKeys: 'key sets',
  sealedSecrets: 'secrets of its own',
  names: 'names',
  accounts: 'accounts',
  clients: 'clients',
  resourceServers: 'resource servers',
  customers: 'customers',
  apiKeys: 'API keys',
  oneTimeTokens: 'mailed links',
  outbox: 'messages to clients',
  artifacts: 'tokens, grants and sessions',
  counters: 'counters',
  revocations: 'revocations',
  tokenStatuses: 'places in status lists',
  statistics: 'figures',
  audit: 'audit records',
};

// Each name is one of them.
const STORES = Object.keys(WORDS) as (keyof Counts)[];

/** As `accounts: 3, clients: 1`: what there is any of. */
export const describeCounts = (counts: Counts): string =>
  STORES.filter((store) => counts[store] > 0)
    .map((store) => `${WORDS[store]}: ${counts[store]}`)
    .join(', ');

/** Of counts for programs. */
export const countsDocument = (counts: Counts): object =>
  Object.fromEntries(
    STORES.map((store) => [
      store.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
      counts[store],
    ]),
  );

/** The lines for what was found; none where all goes together. */
export function tellFindings(io: Io, { faults, leftOver }: Findings): void {
  for (const fault of faults) io.err(`Fault: ${describeFinding(fault)}.\n`);
  for (const finding of leftOver)
    io.err(`Left over, and refused wherever it is used: ${describeFinding(finding)}.\n`);
}

function describeFinding({ what, count, examples }: Finding): string {
  const times = count === 1 ? '' : ` (${count} times)`;
  return examples.length === 0 ? `${what}${times}` : `${what}${times}: ${examples.map(clean).join(', ')}`;
}

/** Names come from people, and are shown in a terminal. */
const clean = (text: string): string => text.replaceAll(/\p{C}/gu, '?');

/** Of findings for programs. */
export const findingsDocument = ({ faults, leftOver }: Findings): object => ({
  faults,
  left_over: leftOver,
});
