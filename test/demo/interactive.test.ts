/** The tour as somebody plays it who answers its questions: it waits, asks for links, and shows colours. */
import { describe, expect, test } from '@jest/globals';
import { stripVTControlCharacters } from 'node:util';

import { runDemo } from '../../examples/demo/demo.ts';
import { lastMail } from '../support/mail.ts';
import { startTestServer } from '../support/server.ts';

// A dozen passwords are hashed.
const TIMEOUT_MS = 60_000;

type Answer = (question: string) => string | null | Promise<string | null>;

interface Played {
  readonly code: number;
  /** As it stands in the terminal, with colours. */
  readonly shown: string;
  readonly told: string;
  readonly questions: readonly string[];
}

/** Plays it at a server that runs already. */
async function playAt(
  origin: string,
  answer: Answer,
  signal = new AbortController().signal,
): Promise<Played> {
  const texts = { shown: '', told: '' };
  const questions: string[] = [];
  const code = await runDemo(
    ['--server', origin],
    {
      ...{ columns: 80, hasColours: true, env: {} },
      write: (text) => void (texts.shown += text),
      error: (text) => void (texts.told += text),
      ask: async (question) => {
        const plain = stripVTControlCharacters(question).trim();
        questions.push(plain);
        return answer(plain);
      },
    },
    signal,
  );
  return { code, ...texts, questions };
}

describe('an interactive tour', () => {
  test.each([
    ['off', 'The new password signs in.'],
    ['on', 'The address is proven.'],
  ])(
    'takes the links that are pasted, with concealed registration %s',
    async (conceal, so) => {
      const server = await startTestServer('SQLite', { REGISTRATION_CONCEAL: conceal });
      const email = 'visitor@example.com';
      const pages = ['verify', 'reset'];
      let isPastedWrong = false;
      try {
        const played = await playAt(server.origin, async (question) => {
          if (question.startsWith('Your address')) return ` ${email} `;
          if (!question.startsWith('Paste its link') && !question.startsWith('That is no such link'))
            return '';
          if (!isPastedWrong) {
            isPastedWrong = true;
            return 'what?';
          }
          const subject = pages.shift() === 'verify' ? 'address' : 'password';
          return server.issuer + (await lastMail(server, email, subject)).link;
        });
        expect({ code: played.code, told: played.told }).toEqual({ code: 0, told: '' });
        expect(played.shown).toContain(so);
        expect(played.shown).toContain('\u001b[36m[15/15]\u001b[39m');
        expect(played.questions).toContain('That is no such link. Once more:');
        expect(played.questions.filter((it) => it.startsWith('Enter goes on'))).toHaveLength(14);
      } finally {
        await server.stop();
      }
    },
    TIMEOUT_MS,
  );

  test(
    'leaves out what nobody has a link for',
    async () => {
      const server = await startTestServer('SQLite');
      const played = await playAt(server.origin, () => '').finally(() => server.stop());
      expect(played.code).toBe(0);
      expect(stripVTControlCharacters(played.shown)).toContain('Left out: The new password needs that link.');
    },
    TIMEOUT_MS,
  );

  test('ends with code 1 where the input does, and with its own where it is interrupted', async () => {
    const server = await startTestServer('SQLite');
    try {
      const over = await playAt(server.origin, () => null);
      expect(over.code).toBe(1);
      expect(over.told).toBe(
        'The input ended before the tour did: add --yes to play it without questions.\n',
      );
      const interruption = new AbortController();
      const left = await playAt(
        server.origin,
        () => {
          interruption.abort(130);
          return null;
        },
        interruption.signal,
      );
      expect(left).toMatchObject({ code: 130, told: '' });
    } finally {
      await server.stop();
    }
  });
});
