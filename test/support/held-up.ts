/** What clients do where a busy machine holds the server or its store up: 503 says that nothing was changed. */
import { setTimeout as sleep } from 'node:timers/promises';

const TRIES = 6;
const PAUSE_MS = 500;

/** Asks, and asks again for as long as the answer is 503; gives the last answer. */
export async function askUntilServed<T extends { readonly status: number }>(
  ask: () => Promise<T>,
): Promise<T> {
  let answer = await ask();
  for (let tries = 1; answer.status === 503 && tries < TRIES; tries += 1) {
    await sleep(PAUSE_MS);
    answer = await ask();
  }
  return answer;
}
