/** One run of the tour, from its arguments to its exit code; the process is its caller's. */
import { Refusal } from './endings.ts';
import { HELP, parseOptions } from './options.ts';
import type { Options } from './options.ts';
import { startOwnServer } from './own-server.ts';
import { createPage } from './page.ts';
import type { Page, Screen } from './page.ts';
import { play } from './play.ts';
import { findServer } from './server.ts';
import type { DemoServer } from './server.ts';
import { createTour } from './tour.ts';
import type { Tour } from './tour.ts';

export interface Terminal extends Screen {
  /** Writes to standard error. */
  error(text: string): void;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The line that a person typed, null at the end of the input; null itself where nobody sits there. */
  readonly ask: ((question: string) => Promise<string | null>) | null;
}

/**
 * Plays the tour and gives the exit code. `signal` ends it: what was started is stopped, and the signal's reason, a
 * number, is the code.
 */
export async function runDemo(
  argv: readonly string[],
  terminal: Terminal,
  signal: AbortSignal,
): Promise<number> {
  const parsed = parseOptions(argv);
  if (!parsed.ok) return fail(terminal, parsed.fault, 2);
  if (parsed.options.isHelp) {
    terminal.write(HELP);
    return 0;
  }
  if (terminal.ask === null && !parsed.options.asksNothing) {
    return fail(
      terminal,
      'There is no terminal to press Enter in: add --yes to play the tour without questions.',
      2,
    );
  }
  try {
    return await tourServer(parsed.options, terminal, signal);
  } catch (error) {
    if (signal.aborted) return typeof signal.reason === 'number' ? signal.reason : 1;
    if (error instanceof Refusal) return fail(terminal, error.message, 1);
    throw error;
  }
}

function fail(terminal: Terminal, sentence: string, code: number): number {
  terminal.error(`${sentence}\n`);
  return code;
}

async function tourServer(options: Options, terminal: Terminal, signal: AbortSignal): Promise<number> {
  const page = createPage(terminal);
  page.heading('Portcullis: a tour of the JSON API');
  const ask = options.asksNothing ? null : createAsk(page, terminal, signal);
  const server = await openServer(options, terminal, page, signal);
  try {
    const tour = createTour({ server, page, ask, signal });
    await begin(server, tour, page);
    const isFine = await play({ tour, page, signal });
    if (isFine) await end(server, tour, page);
    return isFine ? 0 : 1;
  } finally {
    await server.close();
  }
}

async function openServer(
  { server }: Options,
  { env }: Terminal,
  page: Page,
  signal: AbortSignal,
): Promise<DemoServer> {
  if (server !== null) return findServer(server, signal);
  page.say('Starting a server of its own, in a temporary folder …');
  return startOwnServer(env, signal);
}

/** Where the mails go is asked before anything is sent there. */
async function begin({ origin, store }: DemoServer, { notes, ask }: Tour, page: Page): Promise<void> {
  page.say(
    store === null
      ? `The server at ${origin} runs already: the account of this tour, ${notes.username}, stays there.`
      : `It serves ${origin} until the tour ends; then it is removed with all that it wrote.`,
  );
  if (store === null && ask !== null) {
    const email = await ask(`Your address, for the mails with links (Enter: ${notes.email}):`);
    if (email !== '') notes.email = email;
    return;
  }
  await ask?.('Enter begins.');
}

/** Whoever plays it without questions has nothing to look at any more where the server goes at once. */
async function end({ origin, store }: DemoServer, { ask }: Tour, page: Page): Promise<void> {
  if (store !== null && ask === null) return;
  page.say(`Every request of the API, with what goes in and out: ${origin}/docs`);
  if (store !== null) await ask?.('The server runs until you press Enter.');
}

function createAsk(page: Page, { ask }: Terminal, signal: AbortSignal): Tour['ask'] {
  if (ask === null) return null;
  return async (question) => {
    const typed = await ask(page.prompt(question));
    signal.throwIfAborted();
    if (typed === null)
      throw new Refusal('The input ended before the tour did: add --yes to play it without questions.');
    return typed.trim();
  };
}
