// The pages in a real Chromium: accessible in light, dark and on a phone, nothing cut off, large enough to touch.
import { afterAll, beforeAll, expect, test } from '@jest/globals';

import { AxeBuilder } from '@axe-core/playwright';
import type { Page } from 'playwright-core';

import { describeInBrowser } from '../support/browser.ts';
import { LANGUAGES, PAGES, servePages } from './pages.ts';
import type { PageServer } from './pages.ts';

const TIMEOUT_MS = 240_000;
const CONTRAST = 'color-contrast';
// What does not depend on the colours or on the width is asked once.
const SETTINGS: readonly Setting[] = [
  { name: 'light', colorScheme: 'light', width: 1_200, rules: (axe) => axe },
  { name: 'dark', colorScheme: 'dark', width: 1_200, rules: (axe) => axe.withRules([CONTRAST]) },
  { name: 'a phone', colorScheme: 'light', width: 390, rules: (axe) => axe.disableRules([CONTRAST]) },
];

interface Setting {
  readonly name: string;
  readonly colorScheme: 'light' | 'dark';
  readonly width: number;
  readonly rules: (axe: AxeBuilder) => AxeBuilder;
}

/** The least that WCAG 2.2 takes is 24; ours is 44. A link inside a sentence is as high as its line. */
const LEAST_TARGET = 44;

describeInBrowser('the pages in a browser', (browser) => {
  let server: PageServer;
  beforeAll(async () => {
    server = await servePages();
  });
  afterAll(() => server.stop());

  /** Serious faults of a page, each in a line. */
  const faultsOf = async (page: Page, rules: Setting['rules'] = (axe) => axe): Promise<readonly string[]> => {
    // Pages without frames need no second page, which is what the other mode puts the results of frames together in.
    const { violations } = await rules(new AxeBuilder({ page }).setLegacyMode()).analyze();
    return violations
      .filter(({ impact }) => impact === 'serious' || impact === 'critical' || impact === 'moderate')
      .flatMap(({ id, nodes }) => nodes.map(({ html }) => `${id}: ${html}`));
  };

  test.each(SETTINGS)(
    'have nothing to object to, $name',
    async ({ colorScheme, width, rules }) => {
      const context = await browser().newContext({ colorScheme, viewport: { width, height: 820 } });
      const page = await context.newPage();
      const found: Record<string, unknown> = {};
      for (const name of Object.keys(PAGES)) {
        const answer = await page.goto(`${server.url}/${name}`);
        expect(answer?.status()).toBe(200);
        const faults = [...(await faultsOf(page, rules)), ...(await layoutFaultsOf(page))];
        if (faults.length > 0) found[name] = faults;
      }
      await context.close();
      expect(found).toEqual({});
    },
    TIMEOUT_MS,
  );

  test(
    'fit a narrow phone and a tablet in both languages',
    async () => {
      const found: Record<string, unknown> = {};
      const context = await browser().newContext();
      const page = await context.newPage();
      for (const name of Object.keys(PAGES)) {
        for (const locale of LANGUAGES) {
          await page.goto(`${server.url}/${name}?ui_locales=${locale}`);
          for (const width of [320, 800]) {
            await page.setViewportSize({ width, height: 700 });
            const faults = await layoutFaultsOf(page);
            if (faults.length > 0) found[`${name} ${locale} ${width}`] = faults;
          }
        }
      }
      await context.close();
      expect(found).toEqual({});
    },
    TIMEOUT_MS,
  );

  test('run without any complaint of the browser, policy included', async () => {
    const context = await browser().newContext();
    const page = await context.newPage();
    const complaints: string[] = [];
    page.on('console', (message) => complaints.push(message.text()));
    page.on('pageerror', (error) => complaints.push(error.message));
    for (const name of Object.keys(PAGES)) await page.goto(`${server.url}/${name}`);
    await context.close();
    expect(complaints).toEqual([]);
  });

  test('the sidebar is a menu on a phone, opened and closed without a script', async () => {
    const context = await browser().newContext({ viewport: { width: 390, height: 820 }, javaScriptEnabled: true });
    const page = await context.newPage();
    await page.goto(`${server.url}/account-sessions`);
    const link = page.getByRole('link', { name: 'Applications' });
    expect(await link.isVisible()).toBe(false);
    await page.getByRole('button', { name: 'Menu' }).click();
    expect(await link.isVisible()).toBe(true);
    expect(await faultsOf(page)).toEqual([]);
    await page.keyboard.press('Escape');
    expect(await link.isVisible()).toBe(false);
    await page.setViewportSize({ width: 1_200, height: 820 });
    expect(await link.isVisible()).toBe(true);
    await context.close();
  });

  test(
    'are walked through by keyboard in the order of reading, and show where one is',
    async () => {
      const context = await browser().newContext({ viewport: { width: 1_200, height: 820 } });
      const page = await context.newPage();
      const found: Record<string, unknown> = {};
      for (const name of Object.keys(PAGES)) {
        await page.goto(`${server.url}/${name}`);
        const count = await page.evaluate<number>(`${STOPS}.length`);
        const walked: number[] = [];
        for (let step = 0; step < 2 * count + 2; step += 1) {
          await page.keyboard.press('Tab');
          walked.push(await page.evaluate<number>(FOCUSED));
        }
        // Behind the last one the browser's own stops come, then the first one again.
        const rounds = walked.filter((stop) => stop !== -1);
        const isInOrder = rounds.every((stop, i) => i === 0 || stop === ((rounds[i - 1] ?? 0) + 1) % count);
        if (!isInOrder || new Set(rounds).size !== count) found[name] = walked;
      }
      await context.close();
      expect(found).toEqual({});
    },
    TIMEOUT_MS,
  );

  test('the buttons of the engine’s forms send them', async () => {
    const context = await browser().newContext();
    const page = await context.newPage();
    await page.goto(`${server.url}/device-confirm`);
    const sent = page.waitForRequest((request) => request.method() === 'POST');
    await page.getByRole('button', { name: 'No, stop' }).click();
    expect((await sent).postData()).toBe('xsrf=4f&abort=yes');
    await context.close();
  });
});

/** What the keyboard has to reach, in the order of the document. */
const STOPS = `[...document.querySelectorAll('a[href], button, input, textarea')].filter(
  (stop) => stop.type !== 'hidden' && stop.checkVisibility(),
)`;

/** Which of them has the focus, and -1 for none; NaN where one has it and does not show it. */
const FOCUSED = `(() => {
  const stop = ${STOPS}.indexOf(document.activeElement);
  const { outlineStyle, outlineWidth } = getComputedStyle(document.activeElement);
  return stop === -1 || (outlineStyle === 'solid' && parseFloat(outlineWidth) >= 2) ? stop : NaN;
})()`;

/** What is cut off at the side, and what is too small to touch. */
const layoutFaultsOf = (page: Page): Promise<readonly string[]> => page.evaluate<readonly string[]>(MEASURE);

/** Runs in the page, whose types are not those of Node. */
const MEASURE = `(() => {
  const faults = [];
  const { scrollWidth, clientWidth } = document.documentElement;
  if (scrollWidth > clientWidth) faults.push('wider than the window by ' + (scrollWidth - clientWidth));
  const targets = document.querySelectorAll(
    'button, input:not([type=hidden], [hidden]), label.check, nav a, .links a',
  );
  for (const target of targets) {
    const { width, height } = (target.closest('label') ?? target).getBoundingClientRect();
    if (width > 0 && height > 0 && height < ${LEAST_TARGET - 0.5}) faults.push(height + ' high: ' + target.outerHTML);
    if (target.tagName === 'BUTTON' && target.scrollWidth > target.clientWidth + 1)
      faults.push('cut off: ' + target.outerHTML);
  }
  return faults;
})()`;
