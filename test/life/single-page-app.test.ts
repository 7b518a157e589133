/**
 * A person's life with the single-page example in a real Chromium, on both stores: register, confirm the address,
 * agree, call an API, renew in two tabs, lose an answer, sign out here and everywhere.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { Browser, Page } from 'playwright-core';

import { describeInBrowser } from '../support/browser.ts';
import { enterSpa, newPerson, register, signIn, startLife, visit, WAIT_MS } from '../support/life.ts';
import type { Life, NewPerson, Visit } from '../support/life.ts';
import { lastMail } from '../support/mail.ts';
import { describeOnBothStores } from '../support/server.ts';
import type { StoreKind } from '../support/server.ts';

const TIMEOUT_MS = 60_000;
const ROUNDS = 20;
/** In the browser, before any script of the page: the app then has no lock to take turns by. */
const WITHOUT_LOCKS = "Object.defineProperty(Navigator.prototype, 'locks', { value: undefined });";

describeOnBothStores('the life of a person with the single-page app', (store) => {
  describeInBrowser('in Chromium', (browser) => facts(store, browser));
});

function facts(store: StoreKind, browser: () => Browser): void {
  let life: Life;
  beforeAll(async () => {
    life = await startLife(store);
  }, TIMEOUT_MS);
  afterAll(() => life.stop());

  /** A new person, signed in at the app on a device of their own. */
  const enter = async (initScript?: string): Promise<Visit & { page: Page; person: NewPerson }> => {
    const device = await visit(browser());
    if (initScript !== undefined) await device.context.addInitScript(initScript);
    const page = await device.open();
    const person = newPerson();
    await enterSpa(page, life.spa, person);
    return { ...device, page, person };
  };

  test(
    'declines, and is told so by the app',
    async () => {
      const { context, open, complaints } = await visit(browser());
      const page = await open();
      await page.goto(life.spa);
      await page.getByRole('button', { name: 'Sign in' }).click();
      await register(page, newPerson());
      await page.getByRole('button', { name: 'Do not allow' }).click();
      await page.getByText('You did not allow it, so you are not signed in.').waitFor();
      expect(await page.locator('.brand').innerText()).toContain('Example single-page app');
      expect(complaints()).toEqual([]);
      await context.close();
    },
    TIMEOUT_MS,
  );

  test(
    'registers, is asked by name, host and words, confirms the address, and calls APIs',
    async () => {
      const { context, open, complaints } = await visit(browser());
      const page = await open();
      const person = newPerson();
      await page.goto(life.spa);
      await page.getByRole('button', { name: 'Sign in' }).click();
      await page.getByText('to continue to Example single-page app').waitFor();
      await register(page, person);

      await page.getByRole('heading', { name: 'Example single-page app asks for access' }).waitFor();
      await page.getByText(`Signed in as ${person.username}`).waitFor();
      expect(await page.locator('main').innerText()).toContain(`You go on to ${new URL(life.spa).host}.`);
      expect(await page.locator('.grants li > span').allInnerTexts()).toEqual([
        'know who you are',
        'read your username and your name',
        'read your email address',
        'keep its access while you are away',
        'use api.example.test in your name, as far as this scope goes:',
      ]);
      expect(await page.locator('.grants code').last().innerText()).toBe('greetings:read');
      await page.getByRole('button', { name: 'Allow', exact: true }).click();
      await page.getByRole('heading', { name: 'Hello, Alice Adams' }).waitFor();

      const mail = await open();
      await mail.goto(life.server.issuer + (await lastMail(life.server, person.email, 'Confirm')).link);
      await mail.getByRole('button', { name: 'Confirm the address' }).click();
      await mail.getByRole('heading', { name: 'Your address is confirmed' }).waitFor();

      const subject = await page.locator('#subject').innerText();
      expect(await asked(page, 'Who am I', '"email_verified"')).toMatchObject({
        sub: subject,
        email: person.email,
        email_verified: true,
      });
      expect(await asked(page, 'Call the API', '"greeting"')).toMatchObject({
        sub: subject,
        scope: 'greetings:read',
      });
      expect(complaints()).toEqual([]);
      await context.close();
    },
    TIMEOUT_MS,
  );

  describe.each([
    ['that take turns', undefined],
    ['that know nothing of each other', WITHOUT_LOCKS],
  ])('two tabs %s', (_name, initScript) => {
    test(
      `renew at once, ${ROUNDS} times, and nobody is signed out`,
      async () => {
        const { context, page, open, complaints } = await enter(initScript);
        const tabs = [page, await open()];
        await tabs[1]?.goto(life.spa);
        const answers: number[] = [];
        context.on('response', (answer) => {
          if (answer.url().endsWith('/token')) answers.push(answer.status());
        });
        for (let round = 0; round < ROUNDS; round += 1) await Promise.all(tabs.map(renew));
        expect(answers.length).toBeGreaterThanOrEqual(ROUNDS);
        expect(new Set(answers)).toEqual(new Set([200]));
        for (const tab of tabs) {
          expect(Number(await tab.locator('#renewals').innerText())).toBeGreaterThanOrEqual(ROUNDS);
          expect(await asked(tab, 'Who am I', '"sub"')).toMatchObject({ name: 'Alice Adams' });
        }
        expect(complaints()).toEqual([]);
        await context.close();
      },
      TIMEOUT_MS,
    );
  });

  test(
    'loses the answer of a renewal on its way, and the second try succeeds',
    async () => {
      const { context, page, complaints } = await enter();
      let lost = 0;
      await page.route('**/token', async (route) => {
        if (lost > 0) return route.continue();
        lost += 1;
        expect((await route.fetch()).status()).toBe(200); // the server has used the refresh token up
        return route.abort('connectionreset');
      });
      const before = await refreshTokenOf(page);
      await renew(page);
      expect(lost).toBe(1);
      expect(await refreshTokenOf(page)).not.toBe(before);
      await renew(page);
      expect(await asked(page, 'Who am I', '"sub"')).toMatchObject({ name: 'Alice Adams' });
      expect(complaints().filter((complaint) => !complaint.includes('ERR_CONNECTION_RESET'))).toEqual([]);
      await context.close();
    },
    TIMEOUT_MS,
  );

  test(
    'is signed out everywhere from another device: the next renewal leads to the sign-in',
    async () => {
      const { context, page, person, complaints } = await enter();
      const other = await visit(browser());
      const account = await other.open();
      await account.goto(`${life.server.issuer}/account/sessions`);
      await signIn(account, person);
      await account.getByRole('link', { name: 'Sessions' }).click();
      await account.getByRole('button', { name: 'End all other sessions' }).click();
      await account.getByText('All other sessions were ended.').waitFor();

      await page.getByRole('button', { name: 'Renew now' }).click();
      await page.getByRole('heading', { name: 'You are signed out' }).waitFor();
      await page.getByRole('button', { name: 'Sign in' }).click();
      await page.getByLabel('Username or email address').waitFor();
      await signIn(page, person);
      await page.getByRole('button', { name: 'Allow', exact: true }).click();
      await page.getByRole('heading', { name: 'Hello, Alice Adams' }).waitFor();
      expect(complaints().filter((complaint) => !complaint.includes('400 (Bad Request)'))).toEqual([]);
      expect(other.complaints()).toEqual([]);
      await Promise.all([context.close(), other.context.close()]);
    },
    TIMEOUT_MS,
  );

  test(
    'signs out at the app and here, in every tab',
    async () => {
      const { context, page, open, complaints } = await enter();
      const second = await open();
      await second.goto(life.spa);
      await page.getByRole('button', { name: 'Sign out' }).click();
      await page.getByText('Example single-page app asks whether you want to sign out here, too.').waitFor();
      await page.getByRole('button', { name: 'Sign out' }).click();
      for (const tab of [page, second]) {
        await tab.getByRole('heading', { name: 'You are signed out' }).waitFor();
      }
      expect(new URL(page.url()).origin).toBe(life.spa);
      await page.getByRole('button', { name: 'Sign in' }).click();
      await page.getByLabel('Username or email address').waitFor();
      expect(complaints()).toEqual([]);
      await context.close();
    },
    TIMEOUT_MS,
  );
}

/** Presses a button of the app, and gives the answer that it shows once the text stands there. */
async function asked(page: Page, button: string, text: string): Promise<unknown> {
  await page.getByRole('button', { name: button }).click();
  const answer = page.locator('#answer', { hasText: text });
  await answer.waitFor();
  return JSON.parse(await answer.innerText());
}

/** Renews, and fails where that ended in anything but a new token. */
async function renew(page: Page): Promise<void> {
  expect(await page.evaluate<string>(RENEW)).toBe('A new access token is here.');
}

/** Runs in the page, whatever tab is in front: presses the button, and gives what stands there once it works again. */
const RENEW = `new Promise((resolve) => {
  const [button, answer, problem] = ['renew', 'answer', 'problem'].map((id) => document.getElementById(id));
  const tell = () => {
    if (!button.disabled) resolve(problem.hidden ? answer.textContent : problem.textContent);
  };
  new MutationObserver(tell).observe(button, { attributeFilter: ['disabled'] });
  setTimeout(resolve, ${WAIT_MS}, 'it took too long');
  button.click();
})`;

const refreshTokenOf = (page: Page): Promise<string> =>
  page.evaluate<string>(
    "JSON.parse(Object.entries(localStorage).find(([key]) => key.startsWith('oidc.user:'))[1]).refresh_token",
  );
