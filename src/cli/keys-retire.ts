/**
 * `portcullis keys retire`: ends a key. In an emergency it says what that breaks and, where a person types, asks
 * before it does it.
 */
import type { Command } from 'commander';

import type { Administration, RetiredView, RetirementView } from '../composition/administration.ts';
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
  else if (ended.state === 'next')
    io.out(`Retired ${kid}.\nIt never signed, so nothing breaks. ${whatIsLeft(ended)}`);
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
  const { breaks, accepted_until: acceptedUntil } = view;
  return [
    `What ${view.kid} signed is refused by whoever reads the keys anew:\n`,
    ...breaks.map(({ tokens, until }) => `  - ${tokens}, which were good until ${until} at the latest\n`),
    `Whoever keeps the keys takes what the thief signs until ${acceptedUntil ?? ''}: restart what cannot wait.\n`,
    successorOf(view),
  ].join('');
}

/** After a key that waited: the turn that is off, and who waits in its place. */
function whatIsLeft(view: RetiredView): string {
  const { alg, keys_left: left, standby, cancelled_rotation: cancelled, next_rotation: next } = view;
  if (left === 0) return `It was the last key for ${alg}: there is none now. ${makeOne(alg)}\n`;
  const rotate = `portcullis keys rotate --alg ${alg}`;
  if (cancelled !== null) {
    const then = next === null ? 'no other one is due' : `the next one is at ${next}`;
    const advice = view.is_scheduled ? '' : ` Run ${rotate} for one now.`;
    return `The rotation of ${alg} that was due at ${cancelled} is off; ${then}.${advice}\n`;
  }
  return standby === null
    ? `No other key for ${alg} waits: ${rotate} makes the next one.\n`
    : `Another key for ${alg} is in its place.\n`;
}

const makeOne = (alg: string): string => `Make one by: portcullis keys create --alg ${alg}`;

function successorOf(view: RetirementView | RetiredView): string {
  const { state, alg, successor } = view;
  if (state !== 'active') return '';
  if (successor === null)
    return 'keys_left' in view
      ? `No other key for ${alg} follows. ${makeOne(alg)}\n`
      : `No other key for ${alg} is there to follow.\n`;
  return successor.is_known
    ? `${successor.kid} signs from now on. Everybody knows it: it is published since ${successor.published_at}.\n`
    : `${successor.kid} signs from now on. It is published since ${successor.published_at} only: who keeps the keys ` +
        `may refuse what it signs until ${successor.known_from}.\n`;
}
