/**
 * A real Chromium for the tests that need one: Debian's, or the one that CHROMIUM names. Where there is none, a
 * developer's tests are told as skipped; in CI they fail.
 */
import { afterAll, beforeAll, describe } from '@jest/globals';
import { existsSync } from 'node:fs';

import { chromium } from 'playwright-core';
import type { Browser } from 'playwright-core';

import { cannotTest } from './missing.ts';

const EXECUTABLE = process.env['CHROMIUM'] ?? '/usr/bin/chromium';
// A container has no user namespaces for the sandbox; the rest keeps the browser to itself.
const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];
const START_TIMEOUT_MS = 60_000;

/** Describes facts that a browser shows; told as skipped where there is none, except in CI. */
export function describeInBrowser(name: string, facts: (browser: () => Browser) => void): void {
  if (existsSync(EXECUTABLE)) describe(name, () => facts(useBrowser()));
  else cannotTest(name, `there is no ${EXECUTABLE}: install Chromium, or name it by CHROMIUM`);
}

/** One browser for all the facts of a block; each takes a context of its own. */
function useBrowser(): () => Browser {
  let browser: Browser | null = null;
  beforeAll(async () => {
    browser = await chromium.launch({ executablePath: EXECUTABLE, headless: true, args: FLAGS });
  }, START_TIMEOUT_MS);
  afterAll(async () => {
    await browser?.close();
  });
  return () => {
    if (browser === null) throw new Error('the browser is not started');
    return browser;
  };
}
