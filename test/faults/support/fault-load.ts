/**
 * The load while a store is away: every kind of request, each with the one answer that is right for it. What was
 * acknowledged is in the ledger, which holds after the fault.
 */
import type { HttpClient } from './http-client.ts';
import type { Installation } from './installation.ts';
import type { Journal } from './journal.ts';
import type { Ledger } from './ledger.ts';
import { getToken, membersOf, requests, signAssertion, tokenOf } from './relying-party.ts';

const PREPARED = 50;

export interface FaultLoad {
  /** Sends the n-th request and judges its answer. */
  run(n: number): Promise<void>;
  /** Asks for a token and judges the answer. */
  runToken(): Promise<void>;
}

/** Prepares tokens while all is well. */
export async function createFaultLoad(
  http: HttpClient,
  installation: Installation,
  journal: Journal,
  ledger: Ledger,
): Promise<FaultLoad> {
  const nodeToken = await getToken(http, requests.nodeToken());
  const live = await getTokens(http);
  const dead = await getTokens(http);
  for (const token of dead) await http.send(requests.revocation(token));
  ledger.active.push(...live);
  ledger.revoked.push(...dead);

  const askToken = async (name: string): Promise<void> => {
    const answer = await http.send(requests.token());
    journal.note(name, answer, (it) => tokenOf(it) !== null);
    const token = tokenOf(answer);
    if (token !== null) ledger.active.push(token);
  };
  const introspect = async (name: string, token: string | undefined, expected: boolean): Promise<void> => {
    const answer = await http.send(requests.introspection(token ?? ''));
    journal.note(name, answer, (it) => it.status === 200 && membersOf(it)['active'] === expected);
  };
  const kinds: readonly ((n: number) => Promise<void>)[] = [
    () => askToken('token'),
    async () => {
      const assertion = await signAssertion(installation);
      const answer = await http.send(requests.assertionToken(assertion));
      journal.note('assertion', answer, (it) => tokenOf(it) !== null);
      if (tokenOf(answer) !== null) ledger.usedAssertions.push(assertion);
    },
    (n) => introspect('live', live[n % PREPARED], true),
    (n) => introspect('revoked', dead[n % PREPARED], false),
    async () => {
      const answer = await http.send(requests.exchange(nodeToken));
      journal.note('vpn', answer, (it) => tokenOf(it) !== null);
    },
    async () => {
      journal.note('jwks', await http.send(requests.jwks()), ({ status }) => status === 200);
    },
    // Half of what it gives is revoked, so that both lists grow.
    async (n) => {
      const token = n % 2 === 0 && ledger.active.length > PREPARED ? ledger.active.pop() : undefined;
      if (token === undefined) return askToken('token');
      const answer = await http.send(requests.revocation(token));
      journal.note('revoke', answer, ({ status }) => status === 200);
      if (answer.status === 200) ledger.revoked.push(token);
    },
  ];
  return {
    run: async (n) => kinds[n % kinds.length]?.(n),
    runToken: () => askToken('flood'),
  };
}

const getTokens = (http: HttpClient): Promise<string[]> =>
  Promise.all(Array.from({ length: PREPARED }, () => getToken(http, requests.token())));
