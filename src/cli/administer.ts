/** What the commands on the store share: its settings, an open store that is closed again, and told refusals. */
import type { Command, CommandOptions } from 'commander';

import { openAdministration } from '../composition/administration.ts';
import type { Administration } from '../composition/administration.ts';
import { loadConfig, storeNameOf } from '../config.ts';
import type { Config, Secrets } from '../config.ts';
import { describeFaults } from '../config/faults.ts';
import { isAppError, messageOf } from '../errors.ts';
import { addConfigFlags, configFlags } from './config-flags.ts';
import { fail } from './io.ts';
import type { Io } from './io.ts';

/** A subcommand that works on the store; it takes the flags of settings and `--json`. */
export function addStoreCommand(
  parent: Command,
  nameAndArguments: string,
  description: string,
  options: CommandOptions = {},
): Command {
  return addConfigFlags(parent.command(nameAndArguments, options))
    .description(description)
    .option('--json', 'print one JSON document');
}

/**
 * Opens the store, runs `work`, closes it. What is refused becomes a sentence and exit code 1. What fails at the end is
 * told, and no more: what was done stays done, and nobody shall do it again for that.
 */
export const administer = (
  io: Io,
  command: Command,
  work: (administration: Administration, secrets: Secrets) => Promise<void>,
): Promise<void> =>
  withSettings(io, command, async (config, secrets) => {
    const administration = await openAdministration(config, secrets);
    try {
      await work(administration, secrets);
    } finally {
      const tell = (what: string) => (error: unknown) => io.err(`${what}: ${messageOf(error)}\n`);
      await administration
        .close(tell('The audit log could not be written'))
        .catch(tell('The store could not be closed'));
    }
  });

/** Reads the settings and runs `work`. What is refused becomes a sentence and exit code 1. */
export async function withSettings(
  io: Io,
  command: Command,
  work: (config: Config, secrets: Secrets) => Promise<void>,
): Promise<void> {
  const loaded = loadConfig({ flags: configFlags(command), env: io.env, cwd: io.cwd });
  if (!loaded.ok) {
    fail(io, describeFaults(loaded.faults), 'invalid_configuration');
    return;
  }
  const { config, secrets } = loaded;
  try {
    await work(config, secrets);
  } catch (error) {
    fail(io, refusal(error, storeNameOf(config)), isAppError(error) ? error.code : 'failed');
  }
}

function refusal(error: unknown, store: string): string {
  if (isAppError(error, 'store_unavailable')) {
    const cause = Error.isError(error.cause) ? ` (${error.cause.message})` : '';
    return `The store ${store} cannot be used${cause}. Check DATABASE_URL, and that the store runs and may be written.`;
  }
  return messageOf(error);
}
