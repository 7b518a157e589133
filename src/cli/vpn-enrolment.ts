/**
 * `portcullis vpn-nodes enrol`, by which a node registers a key of its own, the options that take its keys away, and what
 * is told where that ends all that the node holds.
 */
import type { Command } from 'commander';

import type { Administration, LostCredentials } from '../composition/administration.ts';
import { administer } from './administer.ts';
import { byOption } from './client-input.ts';
import { fail, printJson } from './io.ts';
import type { Io } from './io.ts';
import type { AddVerb } from './noun.ts';
import { wholeNumber } from './whole-number.ts';

const LIFETIME_SECONDS = 3_600;
const MIN_LIFETIME_SECONDS = 60;
const MAX_LIFETIME_SECONDS = 7 * 86_400;

interface EnrolOptions {
  readonly name?: string;
  readonly lifetime: number;
  readonly json?: true;
}

type Options = Readonly<Record<string, unknown>>;

/** Adds the command. */
export function registerEnrol(io: Io, add: AddVerb): void {
  add(
    'enrol <client_id>',
    'print a code by which the node registers a key of its own, once; a node that is new is made, without a secret',
    'portcullis vpn-nodes enrol node-berlin --lifetime 900',
  )
    .option('--name <name>', 'its name for people')
    .option(
      '--lifetime <seconds>',
      'how long the code is good',
      wholeNumber(MIN_LIFETIME_SECONDS, MAX_LIFETIME_SECONDS),
      LIFETIME_SECONDS,
    )
    .action((clientId: string, options: EnrolOptions, command: Command) =>
      administer(io, command, ({ nodes }) => enrol(io, nodes, clientId, options)),
    );
}

async function enrol(
  io: Io,
  nodes: Administration['nodes'],
  clientId: string,
  { name, lifetime, json }: EnrolOptions,
): Promise<void> {
  const outcome = await nodes.enrol(clientId, lifetime, name);
  if (!outcome.ok) {
    fail(io, outcome.faults.map(byOption).join('\n'));
    return;
  }
  const { isNew, code, expiresAt } = outcome;
  if (json === true) {
    printJson(io, { client_id: clientId, enrolment_code: code, expires_at: expiresAt, created: isNew });
    return;
  }
  if (isNew) io.out(`${clientId}: created.\n`);
  io.out(`enrolment_code: ${code}\n`);
  io.out(`Good once, until ${expiresAt}. It is shown this once: only its digest is kept.\n`);
  io.out('The key that comes by it takes the place of whatever the node authenticates by until then.\n');
  if (!isNew) io.out('Every token that the node got by that ends then: it gets new ones by the key.\n');
}

/** Adds those of `update`. */
export function addKeyOptions(command: Command): void {
  command
    .option(
      '--revoke-key <kid>',
      'end a key of it at once (`show` lists them); may be given several times',
      (kid: string, others: readonly string[] | undefined) => [...(others ?? []), kid],
    )
    .option('--revoke-code', 'end its enrolment code');
}

export const hasKeyOptions = ({ revokeKey, revokeCode }: Options): boolean =>
  revokeKey !== undefined || revokeCode === true;

/** Does what the options of `update` say of keys and the code. */
export const revokeKeys = (
  nodes: Administration['nodes'],
  clientId: string,
  { revokeKey, revokeCode }: Options,
): Promise<void> =>
  // Commander collects texts.
  nodes.revoke(clientId, (revokeKey ?? []) as readonly string[], revokeCode === true);

/** How the node goes on, in words; `secret` is what its secret is called here. */
export function tellLost(
  clientId: string,
  { keys, hasSecret, left }: LostCredentials,
  secret: { readonly old: string; readonly left: string },
): string {
  // A node has a secret or keys, never both.
  const what = hasSecret
    ? `${secret.old} is`
    : keys.length > 1
      ? `The keys ${keys.join(', ')} are`
      : `The key ${keys.join()} is`;
  const all = `${what} over, and so is every token that the node got for itself, and every VPN JWT of its people`;
  if (left.hasSecret) return `${all}; it gets new ones by ${secret.left}.`;
  if (left.keys > 0) return `${all}; it gets new ones by its other ${left.keys === 1 ? 'key' : 'keys'}.`;
  return `${all}. The node has no key now: portcullis vpn-nodes enrol ${clientId}`;
}
