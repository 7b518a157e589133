/**
 * Every answer of a faulty time, judged: right; unavailable (503 with Retry-After); or wrong, which is everything
 * else: a 500, a refusal of what is valid, `active: false` for a live token, a reset connection.
 */
import type { Answer } from './http-client.ts';
import { describeAnswer } from './relying-party.ts';

const KEPT = 10;

export interface Journal {
  /** Judges one answer, and gives it back. */
  note(name: string, answer: Answer, isRight: (answer: Answer) => boolean): Answer;
  /** `name: right/unavailable/wrong` of each kind of request. */
  summary(): string;
  readonly wrong: { count: number; readonly first: string[] };
  /** Milliseconds of the slowest answers. */
  slowest(): { readonly right: number; readonly unavailable: number };
  /** Of performance.now(): the first and the last 503, as they came; null where none did. */
  unavailable(): { readonly firstAt: number; readonly lastAt: number } | null;
}

type Verdict = 'right' | 'unavailable' | 'wrong';

export function createJournal(): Journal {
  const counts = new Map<string, Record<Verdict, number>>();
  const slowest = { right: 0, unavailable: 0 };
  const wrong = { count: 0, first: [] as string[] };
  let unavailable: { firstAt: number; lastAt: number } | null = null;

  const note = (name: string, answer: Answer, isRight: (answer: Answer) => boolean): Answer => {
    const verdict = judge(answer, isRight);
    const count = counts.get(name) ?? { right: 0, unavailable: 0, wrong: 0 };
    count[verdict] += 1;
    counts.set(name, count);
    if (verdict === 'wrong') {
      wrong.count += 1;
      if (wrong.first.length < KEPT) wrong.first.push(`${name}: ${describeAnswer(answer)}`);
      return answer;
    }
    slowest[verdict] = Math.max(slowest[verdict], answer.ms);
    const endedAt = answer.startedAt + answer.ms;
    if (verdict === 'unavailable')
      unavailable = { firstAt: unavailable?.firstAt ?? endedAt, lastAt: endedAt };
    return answer;
  };

  return {
    note,
    wrong,
    slowest: () => slowest,
    unavailable: () => unavailable,
    summary: () =>
      [...counts]
        .map(([name, count]) => `${name} ${count.right}/${count.unavailable}/${count.wrong}`)
        .join(', '),
  };
}

function judge(answer: Answer, isRight: (answer: Answer) => boolean): Verdict {
  if (isRight(answer)) return 'right';
  const retryAfter = Number(answer.headers['retry-after']);
  return answer.status === 503 && Number.isInteger(retryAfter) && retryAfter > 0 ? 'unavailable' : 'wrong';
}
