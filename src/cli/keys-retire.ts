/**
 * `portcullis keys retire`: ends a key. In an emergency it says what that breaks and, where a person types, asks
 * before it does it.
 */
import type { Command } from 'commander';

import type { Administration, RetirementView } from '../composition/administration.ts';
import { AppError } from '../errors.ts';
import { administer } from './administer.ts';
import { printJson } from './io.ts';
import type { Io } from './io.ts';
import type { AddVerb } from './noun.ts';

type Keys = Administration['keys'];

interface Options {
  readonly emergency?: true;
  readonly yes?: true;
  readonly json?: true;
}

/** Adds `keys retire`. */
export function registerKeysRetire(io: Io, add: AddVerb): void {
  add(
    'retire <kid>',
    'end a key that never signed or, in an emergency, one that did: what it signed is refused from then on',
    'portcullis keys retire KID --emergency',
  )
    .option('--emergency', 'the key is stolen: end it now, whatever that breaks')
    .option('--yes', 'do not ask')
    .action((kid: string, options: Options, command: Command) =>
      administer(io, command, ({ keys }) => retire(io, keys, kid, options)),
    );
}

async function retire(io: Io, keys: Keys, kid: string, { emergency, yes, json }: Options): Promise<void> {
  const isEmergency = emergency === true;
  const preview = await keys.previewRetirement(kid, isEmergency);
  const asks = preview.state !== 'next' && yes !== true;
  if (asks) {
    io.err(`${whatBreaks(preview)}\n`);
    await confirm(io, kid);
  }
  const ended = await keys.retire(kid, isEmergency);
  if (json === true) printJson(io, { ...ended, done: 'retired' });
  else io.out(`Retired ${kid}.\n${asks ? successorOf(ended) : whatBreaks(ended)}`);
}

async function confirm(io: Io, kid: string): Promise<void> {
  if (!io.input.isTerminal())
    throw refused('Nothing was changed: add --yes, since there is nobody here to ask.');
  const answer = await io.input.ask(`Retire ${kid} now? [y/N] `);
  if (!/^y(es)?$/i.test(answer?.trim() ?? '')) throw refused('Nothing was changed.');
}

const refused = (sentence: string): AppError => new AppError('invalid_request', sentence);

function whatBreaks(view: RetirementView): string {
  const { state, alg, breaks, accepted_until: acceptedUntil } = view;
  if (state === 'next')
    return `It never signed, so nothing breaks. Another key for ${alg} is in its place.\n`;
  return [
    `What ${view.kid} signed is refused by whoever reads the keys anew:\n`,
    ...breaks.map(({ tokens, until }) => `  - ${tokens}, which were good until ${until} at the latest\n`),
    `Whoever keeps the keys takes what the thief signs until ${acceptedUntil ?? ''}: restart what cannot wait.\n`,
    successorOf(view),
  ].join('');
}

function successorOf({ state, alg, successor }: RetirementView): string {
  if (state !== 'active') return '';
  if (successor === null) return `No other key for ${alg} follows.\n`;
  return successor.is_known
    ? `${successor.kid} signs from now on. Everybody knows it: it is published since ${successor.published_at}.\n`
    : `${successor.kid} signs from now on. It is published since ${successor.published_at} only: who keeps the keys ` +
        `may refuse what it signs until ${successor.known_from}.\n`;
}
