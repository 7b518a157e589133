/** Plays the steps in their order, with a rest between them, and tells how it went. */
import { Refusal, Surprise } from './endings.ts';
import type { Page } from './page.ts';
import { STEPS } from './steps.ts';
import type { Tour } from './tour.ts';

export interface PlayOptions {
  readonly tour: Tour;
  readonly page: Page;
  readonly signal: AbortSignal;
}

/** True where nothing was a surprise. Throws a Refusal where it cannot go on, and what interrupts it. */
export async function play({ tour, page, signal }: PlayOptions): Promise<boolean> {
  const since = performance.now();
  for (const [index, { title, about, play: playStep }] of STEPS.entries()) {
    signal.throwIfAborted();
    page.step(index + 1, STEPS.length, title);
    page.say(about);
    try {
      await playStep(tour);
    } catch (error) {
      signal.throwIfAborted();
      const told = tellFault(error, page, `step ${index + 1} of ${STEPS.length}`);
      if (!told) throw error;
      return false;
    }
    if (index < STEPS.length - 1) await tour.ask?.('Enter goes on, Ctrl-C ends the tour.');
  }
  tellSum(tour, page, (performance.now() - since) / 1_000);
  return true;
}

function tellFault(error: unknown, page: Page, where: string): boolean {
  if (error instanceof Surprise) {
    page.surprise(error.faults);
    page.bad(`A surprise at ${where}: the server did not answer as it should.`);
    return true;
  }
  if (error instanceof Refusal)
    throw new Refusal(`The tour ends at ${where}. ${error.message}`, { cause: error });
  return false;
}

function tellSum(tour: Tour, page: Page, seconds: number): void {
  const { requests, leftOut } = tour.count();
  const skipped = leftOut === 0 ? '' : `, ${leftOut === 1 ? 'one thing' : `${leftOut} things`} left out`;
  page.heading('The end');
  page.good(
    `All as expected: ${STEPS.length} steps, ${requests} requests${skipped}, ${seconds.toFixed(1)} s.`,
  );
}
