/** `npm run demo`: the tour in this process's terminal. However it ends, a server that it started ends with it. */
import process from 'node:process';
import { createInterface } from 'node:readline';
import { isatty } from 'node:tty';

import { runDemo } from './demo.ts';

const PLAIN_COLUMNS = 80;
const NARROWEST = 40;
/** By number, as shells tell them: 128 and the signal's. */
const SIGNALS = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 } as const;

const { argv, env, stdin, stdout, stderr } = process;
const isTerminal = isatty(stdout.fd); // isTTY is undefined where it is none
const interruption = new AbortController();

// Not once: npm hands on the Ctrl-C that the terminal sent here, too, and the second must not end the clearing up.
for (const [name, code] of Object.entries(SIGNALS)) process.on(name, () => interruption.abort(code));
// Whoever reads this has gone away, as `| head` does.
stdout.on('error', () => interruption.abort(1));

/** The line that was typed, as a person edits it; null where the input ended. */
function ask(question: string): Promise<string | null> {
  return new Promise((resolve) => {
    let answer: string | null = null;
    const lines = createInterface({ input: stdin, output: stdout, historySize: 0 });
    const close = (): void => lines.close();
    interruption.signal.addEventListener('abort', close, { once: true });
    lines.once('SIGINT', () => interruption.abort(SIGNALS.SIGINT)); // a terminal that is read key by key sends none
    lines.once('close', () => {
      interruption.signal.removeEventListener('abort', close);
      if (answer === null) stdout.write('\n');
      resolve(answer);
    });
    lines.question(question, (typed) => {
      answer = typed;
      lines.close();
    });
  });
}

process.exitCode = await runDemo(
  argv.slice(2),
  {
    columns: Math.max(NARROWEST, isTerminal ? stdout.columns : PLAIN_COLUMNS),
    hasColours: isTerminal && (env['NO_COLOR'] ?? '') === '' && env['TERM'] !== 'dumb',
    write: (text) => void stdout.write(text),
    error: (text) => void stderr.write(text),
    env,
    ask: stdin.isTTY ? ask : null,
  },
  interruption.signal,
);
