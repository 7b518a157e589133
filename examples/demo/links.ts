/** The tokens of mailed links: read from the mails of the tour's own server, or pasted by the person. */
import { tokenOf } from './mailbox.ts';
import { shortenLink } from './secrets.ts';
import type { Tour } from './tour.ts';

/** Null, once it was told that this is left out, where nobody can read the mail. */
export async function mailedToken(
  { store, ask, notes, note, leaveOut }: Tour,
  page: 'verify' | 'reset',
  subject: string,
): Promise<string | null> {
  if (store !== null) {
    const link = await store.mailedLink(notes.email, page);
    note('✉', `A mail to ${notes.email}, with a link: ${shortenLink(link)}`);
    return tokenOf(link);
  }
  if (ask === null) {
    leaveOut(`${subject} needs a link that is mailed, and only the server's own people can read its mails.`);
    return null;
  }
  note('✉', `A mail is on its way to ${notes.email}. In development it is a file in var/mail of the server.`);
  return askForToken(ask, () => leaveOut(`${subject} needs that link.`));
}

async function askForToken(ask: NonNullable<Tour['ask']>, leaveOut: () => void): Promise<string | null> {
  for (
    let question = 'Paste its link (Enter leaves this out):';
    ;
    question = 'That is no such link. Once more:'
  ) {
    const pasted = await ask(question);
    if (pasted === '') {
      leaveOut();
      return null;
    }
    const token = tokenOf(pasted);
    if (token !== null) return token;
  }
}
