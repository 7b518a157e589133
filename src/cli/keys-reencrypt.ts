/** `portcullis keys reencrypt`: seals what the store holds under a new SECRET_KEY, while servers run with both. */
import type { Command } from 'commander';

import type { Reencryption, SealedCounts } from '../composition/administration.ts';
import { addStoreCommand, administer } from './administer.ts';
import { fail, printJson } from './io.ts';
import type { Io } from './io.ts';

const HELP = `
Example:
  SECRET_KEY=the-new-one SECRET_KEY_PREVIOUS=the-old-one portcullis keys reencrypt

Before it: give every instance the new SECRET_KEY, with the old one as SECRET_KEY_PREVIOUS, and restart it.
After it: take SECRET_KEY_PREVIOUS away from every instance, and restart it once more.`;

/** Adds `reencrypt` to `keys`. */
export function registerReencrypt(keys: Command, io: Io): void {
  addStoreCommand(
    keys,
    'reencrypt',
    'encrypt under SECRET_KEY what is encrypted under SECRET_KEY_PREVIOUS: signing keys, HS256 secrets, the audit key',
  )
    .addHelpText('after', HELP)
    .action((options: { json?: true }, command: Command) =>
      administer(io, command, async ({ reencrypt }, { previousSecretKey }) => {
        const done = await reencrypt();
        const left = describe(done.remaining);
        const next = previousSecretKey === null ? NOTHING_TO_MOVE : NEXT;
        if (left === null) tell(io, done, next, options.json === true);
        else fail(io, unfinished(left), 'conflict');
      }),
    );
}

function tell(io: Io, { resealed }: Reencryption, next: string, isJson: boolean): void {
  if (isJson) {
    const { signingKeys, resourceServers, auditKeys } = resealed;
    const counts = { signing_keys: signingKeys, resource_servers: resourceServers, audit_keys: auditKeys };
    printJson(io, { reencrypted: counts, next });
    return;
  }
  const what = describe(resealed);
  const done =
    what === null
      ? 'Everything is encrypted under SECRET_KEY already.'
      : `Encrypted anew under SECRET_KEY: ${what}.`;
  io.out(`${done}\n${next}\n`);
}

const NEXT =
  'Now unset SECRET_KEY_PREVIOUS at every instance and restart it. Keep the old key for as long as a backup needs it.';

const NOTHING_TO_MOVE =
  'SECRET_KEY_PREVIOUS is not set, so there was nothing to move. For a new key give every instance, and this command, ' +
  'the new one as SECRET_KEY and the present one as SECRET_KEY_PREVIOUS; then run this again.';

const unfinished = (left: string): string =>
  `Needs SECRET_KEY_PREVIOUS still, since it was made meanwhile: ${left}. An instance runs with the old key as its ` +
  'SECRET_KEY: restart it with both keys, then run this again.';

/** Such as `2 signing keys, the key of the audit log`; null for nothing. */
function describe({ signingKeys, resourceServers, auditKeys }: SealedCounts): string | null {
  const parts = [
    counted(signingKeys, 'signing key', 'signing keys'),
    counted(resourceServers, 'secret of a resource server', 'secrets of resource servers'),
    ...(auditKeys === 0 ? [] : ['the key of the audit log']),
  ].filter((part) => part !== null);
  return parts.length === 0 ? null : parts.join(', ');
}

const counted = (count: number, one: string, many: string): string | null =>
  count === 0 ? null : `${count} ${count === 1 ? one : many}`;
