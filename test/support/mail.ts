/** The mails that a test server sent: it writes them as files. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import type { TestServer } from './server.ts';

export interface ReadMail {
  readonly subject: string;
  readonly text: string;
  /** The first link of it, as a path of the server. */
  readonly link: string;
}

const MAX_WAIT_MS = 20_000;

/** The newest mail to an address whose subject holds `about`, once there is one; `after`: another one than that. */
export async function lastMail(
  server: TestServer,
  to: string,
  about: string,
  after: ReadMail | null = null,
): Promise<ReadMail> {
  const until = Date.now() + MAX_WAIT_MS;
  for (;;) {
    const found = readNewest(server, to, about);
    if (found !== null && found.text !== after?.text) return found;
    if (Date.now() > until) throw new Error(`no mail to ${to} about ${about}`);
    await sleep(20);
  }
}

function readNewest({ folder, issuer }: TestServer, to: string, about: string): ReadMail | null {
  const path = join(folder, 'mail');
  for (const name of filesOf(path).sort().reverse()) {
    const eml = readFileSync(join(path, name), 'utf8');
    const subject = /^Subject: (.*)$/m.exec(eml)?.[1] ?? '';
    if (!eml.includes(`To: ${to}`) || !subject.includes(about)) continue;
    const [, link = ''] = new RegExp(`${issuer}(/\\S+)`).exec(eml) ?? [];
    return { subject, text: eml, link };
  }
  return null;
}

function filesOf(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return []; // nothing was sent yet
  }
}
