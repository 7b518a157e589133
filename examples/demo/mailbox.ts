/** The mails of a server in development: files in a folder. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { Surprise } from './endings.ts';

/** A mail is sent after the answer, so it is waited for. */
const MAX_WAIT_MS = 5_000;
const LOOK_EVERY_MS = 50;

interface Search {
  readonly folder: string;
  readonly to: string;
  /** Of the account, to which the link leads. */
  readonly page: string;
  readonly signal: AbortSignal;
}

/** The link of the newest such mail, once there is one; throws a Surprise where none comes. */
export async function waitForLink(search: Search): Promise<string> {
  const until = performance.now() + MAX_WAIT_MS;
  for (;;) {
    search.signal.throwIfAborted();
    const link = await findLink(search);
    if (link !== null) return link;
    if (performance.now() > until) {
      throw new Surprise([`expected a mail to ${search.to} within ${MAX_WAIT_MS / 1_000} s; none came`]);
    }
    await sleep(LOOK_EVERY_MS);
  }
}

async function findLink({ folder, to, page }: Search): Promise<string | null> {
  const names = await readdir(folder).catch(() => []); // nothing was sent yet
  for (const name of names.sort().reverse()) {
    const mail = await readFile(join(folder, name), 'utf8');
    const [link] = new RegExp(`^http\\S+/account/${page}\\?token=\\S+$`, 'm').exec(mail) ?? [];
    if (link !== undefined && mail.includes(`\nTo: ${to}\n`)) return link;
  }
  return null;
}

/** The token of a link, or of what a person pasted: the link, or the token alone. Null for anything else. */
export function tokenOf(pasted: string): string | null {
  const [, token = pasted] = /[?&]token=([\w-]+)/.exec(pasted) ?? [];
  return /^[\w-]{20,}$/.test(token) ? token : null;
}
