/**
 * A person's life with the web application in a Chromium that runs no script, on both stores: every page of this
 * server and of the application works by links and forms alone.
 */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { Browser, Page } from 'playwright-core';

import { describeInBrowser } from '../support/browser.ts';
import { newPerson, register, signIn, startLife, visit } from '../support/life.ts';
import type { Life, NewPerson, Visit } from '../support/life.ts';
import { lastMail } from '../support/mail.ts';
import { describeOnBothStores } from '../support/server.ts';
import type { StoreKind } from '../support/server.ts';

const TIMEOUT_MS = 60_000;

describeOnBothStores('the life of a person without JavaScript', (store) => {
  describeInBrowser('in Chromium', (browser) => facts(store, browser));
});

function facts(store: StoreKind, browser: () => Browser): void {
  let life: Life;
  beforeAll(async () => {
    life = await startLife(store);
  }, TIMEOUT_MS);
  afterAll(() => life.stop());

  /** A new person, signed in at the application on a device of their own. */
  const enter = async (): Promise<Visit & { page: Page; person: NewPerson }> => {
    const device = await visit(browser(), { javaScriptEnabled: false });
    const page = await device.open();
    const person = newPerson();
    await page.goto(life.web);
    await page.getByRole('link', { name: 'Sign in' }).click();
    await register(page, person);
    await page.getByRole('heading', { name: 'Example web application asks for access' }).waitFor();
    expect(await page.locator('main').innerText()).toContain(`You go on to ${new URL(life.web).host}.`);
    await page.getByRole('button', { name: 'Allow', exact: true }).click();
    await page.getByRole('heading', { name: 'Hello, Alice Adams' }).waitFor();
    return { ...device, page, person };
  };
  const openMail = async (page: Page, { email }: NewPerson, about: string): Promise<void> => {
    await page.goto(life.server.issuer + (await lastMail(life.server, email, about)).link);
  };

  test(
    'registers, agrees, renews, confirms the address, and signs out',
    async () => {
      const { context, page, person, open, complaints } = await enter();
      expect(await page.locator('#userinfo').innerText()).toContain(person.email);
      expect(await page.locator('#expires').innerText()).toMatch(/^\d\d:\d\d:\d\d UTC$/);
      await page.getByRole('button', { name: 'Renew now' }).click();
      await page.locator('#renewals', { hasText: '1' }).waitFor();

      const mail = await open();
      await openMail(mail, person, 'Confirm');
      await mail.getByRole('button', { name: 'Confirm the address' }).click();
      await mail.getByRole('heading', { name: 'Your address is confirmed' }).waitFor();

      await page.getByRole('button', { name: 'Sign out' }).click();
      await page.getByText('Example web application asks whether you want to sign out here, too.').waitFor();
      await page.getByRole('button', { name: 'Sign out' }).click();
      await page.getByRole('heading', { name: 'You are signed out' }).waitFor();
      expect(new URL(page.url()).origin).toBe(life.web);
      await page.getByRole('link', { name: 'Sign in' }).click();
      await page.getByLabel('Username or email address').waitFor();
      expect(complaints()).toEqual([]);
      await context.close();
    },
    TIMEOUT_MS,
  );

  test(
    'declines, and is told so by the application',
    async () => {
      const { context, page, complaints } = await enter();
      await page.goto(`${life.web}/sign-in`);
      await page.getByRole('button', { name: 'Do not allow' }).click();
      await page.getByText('You did not allow it, so you are not signed in.').waitFor();
      expect(complaints().filter((complaint) => !complaint.includes('400 (Bad Request)'))).toEqual([]);
      await context.close();
    },
    TIMEOUT_MS,
  );

  test(
    'goes on as somebody else, by a page with one button',
    async () => {
      const { context, page, person, complaints } = await enter();
      const other = await enter();
      await other.context.close();
      const begun = await page.request.get(`${life.web}/sign-in`, { maxRedirects: 0 });
      const asked = new URL(begun.headers()['location'] ?? '');
      asked.searchParams.set('prompt', 'select_account');
      await page.goto(asked.href);
      await page.getByText(person.email).waitFor();
      await page.getByRole('button', { name: 'Use another account' }).click();
      await signIn(page, other.person);
      await page.getByRole('heading', { name: 'One moment' }).waitFor();
      await page.getByRole('button', { name: 'Go on' }).click();
      await page.locator('#userinfo', { hasText: other.person.email }).waitFor();
      expect(complaints()).toEqual([]);
      await context.close();
    },
    TIMEOUT_MS,
  );

  test(
    'forgets the password, and sets another one by the mailed link, which ends every session',
    async () => {
      const { context, page, person, open, complaints } = await enter();
      const mail = await open();
      await mail.goto(`${life.server.issuer}/account/forgot`);
      await mail.getByLabel('Email address').fill(person.email);
      await mail.getByRole('button', { name: 'Send the link' }).click();
      await mail.getByRole('heading', { name: 'Look at your mail' }).waitFor();
      await openMail(mail, person, 'Choose a new password');
      const password = `${person.password} again`;
      await mail.getByLabel('New password').fill(password);
      await mail.getByRole('button', { name: 'Save the password' }).click();
      await mail.getByRole('heading', { name: 'Your password is changed' }).waitFor();
      expect(complaints()).toEqual([]);

      await page.getByRole('button', { name: 'Renew now' }).click();
      await page.getByText('Portcullis refused: invalid_grant.').waitFor();
      await page.getByRole('link', { name: 'Sign in' }).click();
      await signIn(page, { ...person, password });
      await page.getByRole('button', { name: 'Allow', exact: true }).click();
      await page.getByRole('heading', { name: 'Hello, Alice Adams' }).waitFor();
      await context.close();
    },
    TIMEOUT_MS,
  );

  test(
    'looks after the account: name, password, sessions, applications, data, and its end',
    async () => {
      const { context, page, person, complaints } = await enter();
      await page.goto(`${life.server.issuer}/account`);
      await page.getByLabel('Full name').fill('Alice Baker');
      await page.getByRole('button', { name: 'Save the name' }).click();
      await page.getByText('Your name is saved.').waitFor();

      await page.getByRole('link', { name: 'Password' }).click();
      await page.getByLabel('Current password').fill(person.password);
      await page.getByLabel('New password').fill(`${person.password} again`);
      await page.getByRole('button', { name: 'Change the password' }).click();
      await page.getByText('Your password is changed. Every other session was ended.').waitFor();

      await page.getByRole('link', { name: 'Sessions' }).click();
      await page.getByRole('rowheader', { name: 'this session' }).waitFor();
      await page.getByRole('link', { name: 'Applications' }).click();
      await page.getByRole('button', { name: 'Remove the access of Example web application' }).click();
      await page.getByText('The access was removed.').waitFor();

      await page.getByRole('link', { name: 'Your data' }).click();
      const [download] = await Promise.all([
        page.waitForEvent('download'),
        page.getByRole('button', { name: 'Download your data' }).click(),
      ]);
      expect(download.suggestedFilename()).toBe(`${person.username}.json`);
      await page.getByLabel('to confirm').fill(person.username);
      await page.getByLabel('Current password').fill(`${person.password} again`);
      await page.getByRole('button', { name: `Delete ${person.username}` }).click();
      await page.getByRole('heading', { name: 'Your account is deleted' }).waitFor();
      expect(complaints()).toEqual([]);
      await context.close();
    },
    TIMEOUT_MS,
  );
}
