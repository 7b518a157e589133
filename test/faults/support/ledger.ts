/**
 * What servers acknowledged and so must never forget, whatever happens to them: tokens that are live, tokens that
 * were revoked, assertions that were used, clients that were registered. Filled by a load, checked after a fault.
 */
import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';

import type { Answer, HttpClient, HttpRequest } from './http-client.ts';
import type { Installation } from './installation.ts';
import type { Registered } from './registrar.ts';
import { describeAnswer, membersOf, requests, signAssertion, tokenOf } from './relying-party.ts';

const CHECKS_AT_ONCE = 16;
const REGISTRAR = join(import.meta.dirname, 'registrar.ts');

export interface Ledger {
  readonly active: string[];
  readonly revoked: string[];
  readonly usedAssertions: string[];
  readonly clients: Registered[];
}

export const createLedger = (): Ledger => ({ active: [], revoked: [], usedAssertions: [], clients: [] });

/** Everything in it. */
export const countOf = ({ active, revoked, usedAssertions, clients }: Ledger): number =>
  active.length + revoked.length + usedAssertions.length + clients.length;

/** Adds one ledger to another. */
export function addTo(total: Ledger, more: Ledger): void {
  total.active.push(...more.active);
  total.revoked.push(...more.revoked);
  total.usedAssertions.push(...more.usedAssertions);
  total.clients.push(...more.clients);
}

/**
 * One run of the load: of eight, four tokens, two opaque tokens and one JWT that are revoked, one assertion. A token
 * whose revocation was not answered may be either, so it is in no list.
 */
export async function work(
  ledger: Ledger,
  http: HttpClient,
  installation: Installation,
  n: number,
): Promise<void> {
  const kind = n % 8;
  if (kind === 7) {
    const assertion = await signAssertion(installation);
    if (tokenOf(await http.send(requests.assertionToken(assertion))) !== null)
      ledger.usedAssertions.push(assertion);
    return;
  }
  const token = tokenOf(await http.send(kind === 6 ? requests.jwtToken() : requests.token()));
  if (token === null) return;
  if (kind < 4) {
    ledger.active.push(token);
    return;
  }
  const revocation = await http.send(requests.revocation(token));
  if (revocation.status === 200) ledger.revoked.push(token);
}

/** Gives a line for everything that is not as it was acknowledged. */
export async function findLost(ledger: Ledger, http: HttpClient): Promise<string[]> {
  const lost: string[] = [];
  const check = async <T>(items: readonly T[], toRequest: (item: T) => HttpRequest, expected: Expected) => {
    await forEachAtOnce(items, async (item) => {
      const answer = await http.send(toRequest(item));
      if (!expected.isMet(answer)) lost.push(`${expected.fact}, but the answer is ${describeAnswer(answer)}`);
    });
  };
  await check(ledger.active, requests.introspection, ACTIVE);
  await check(ledger.revoked, requests.introspection, INACTIVE);
  await check(ledger.usedAssertions, requests.assertionToken, USED);
  await check(ledger.clients, requests.tokenOf, REGISTERED);
  return lost;
}

interface Expected {
  readonly fact: string;
  readonly isMet: (answer: Answer) => boolean;
}

const ACTIVE: Expected = { fact: 'a token was issued', isMet: (answer) => isActive(answer) === true };
const INACTIVE: Expected = { fact: 'a token was revoked', isMet: (answer) => isActive(answer) === false };
const USED: Expected = { fact: 'an assertion was used', isMet: ({ status }) => status === 401 };
const REGISTERED: Expected = { fact: 'a client was registered', isMet: ({ status }) => status === 200 };

const isActive = (answer: Answer): unknown => (answer.status === 200 ? membersOf(answer)['active'] : null);

async function forEachAtOnce<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const rest = items.values();
  const take = async (): Promise<void> => {
    for (const item of rest) await work(item);
  };
  await Promise.all(Array.from({ length: CHECKS_AT_ONCE }, take));
}

/** At most so many of each kind, evenly spread. */
export function sampleOf(ledger: Ledger, max: number): Ledger {
  const spread = <T>(items: readonly T[]): T[] => {
    const step = Math.max(1, items.length / max);
    return Array.from({ length: Math.min(items.length, max) }, (_, n) => items[Math.floor(n * step)]).filter(
      (item) => item !== undefined,
    );
  };
  const { active, revoked, usedAssertions, clients } = ledger;
  return {
    active: spread(active),
    revoked: spread(revoked),
    usedAssertions: spread(usedAssertions),
    clients: spread(clients),
  };
}

export interface Registrar {
  /** Kills it in the middle of its work. */
  kill(): Promise<void>;
}

/** Starts registrar.ts; what it registered is added to the ledger. */
export function startRegistrar(
  env: Readonly<Record<string, string>>,
  prefix: string,
  ledger: Ledger,
): Registrar {
  const child: ChildProcess = fork(REGISTRAR, [prefix], {
    env: { ...env, PORT: '0' },
    execArgv: ['--disable-warning=ExperimentalWarning'],
  });
  child.on('message', (registered: Registered) => ledger.clients.push(registered));
  const closed = once(child, 'close'); // after the last message
  return {
    kill: async () => {
      if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
      await closed;
    },
  };
}
