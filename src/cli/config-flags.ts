/** The flags of settings, as options of a command: `serve` takes them, and so does whatever reads its settings. */
import { Option } from 'commander';
import type { Command } from 'commander';

import type { ConfigFlags } from '../config.ts';
import { SETTINGS, flagOf } from '../config/settings.ts';
import type { SettingName } from '../config/settings.ts';

/** The settings that people change from one run to the next; the others are for the environment and the file. */
const FLAGGED = [
  'issuer',
  'host',
  'port',
  'databaseUrl',
  'logLevel',
  'metricsAddress',
] as const satisfies SettingName[];

/** Adds `--config FILE` and the flags of settings to a command. */
export function addConfigFlags(command: Command): Command {
  command.addOption(new Option('--config <file>', 'the settings file (CONFIG_FILE)'));
  for (const name of FLAGGED) {
    const { about, env } = SETTINGS[name];
    command.addOption(new Option(`${flagOf(name)} <value>`, `${about} (${env})`));
  }
  return command;
}

/** What the command was given of them, for `loadConfig`. */
export function configFlags(command: Command): ConfigFlags {
  // Commander knows no types of options; every one above takes a text.
  const options = command.opts<Readonly<Record<string, string | undefined>>>();
  const flags: Record<string, string | undefined> = { config: options['config'] };
  for (const name of FLAGGED) flags[name] = options[name];
  return flags;
}
