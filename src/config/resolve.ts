/**
 * One value for each setting: from a flag, else the environment, else the settings file, else its default. A value
 * that its schema refuses is a fault, and the default stands in for it so that the other checks go on.
 */
import type { ConfigFault, Source } from './faults.ts';
import { holdsPassword } from './redact.ts';
import { exposure, refusal } from './refusals.ts';
import { readSecret } from './secret-sources.ts';
import type { Env } from './secret-sources.ts';
import type { FileEntry, SettingsFile } from './settings-file.ts';
import { SETTINGS, SETTING_NAMES, flagOf } from './settings.ts';
import type { SettingName, SettingValues } from './settings.ts';

export type SettingFlags = Readonly<Partial<Record<SettingName, string | undefined>>>;

export type Sources = Readonly<Record<SettingName, Source>>;

export interface Resolved {
  readonly values: SettingValues;
  readonly sources: Sources;
  /** What was given as the issuer, also where it was refused. */
  readonly issuerText: string | null;
  readonly faults: readonly ConfigFault[];
}

/** What was given for a setting, as the settings file would write it. */
interface Given {
  readonly raw: unknown;
  readonly source: Source;
}

/** What is in force for one setting, and what was wrong with what was given. */
interface Settled {
  readonly value: unknown;
  readonly source: Source;
  readonly faults: readonly ConfigFault[];
}

/** Settles all settings. */
export function resolveSettings(flags: SettingFlags, env: Env, cwd: string, file: SettingsFile): Resolved {
  const faults: ConfigFault[] = [];
  const values: Record<string, unknown> = {};
  const sources: Record<string, Source> = {};
  let issuerText: string | null = null;
  for (const name of SETTING_NAMES) {
    const given = fromFlag(name, flags) ?? fromEnvironment(name, env, cwd, faults) ?? fromFile(name, file);
    const settled = settle(name, given);
    values[name] = settled.value;
    sources[name] = settled.source;
    faults.push(...settled.faults);
    if (name === 'issuer' && typeof given?.raw === 'string') issuerText = given.raw;
  }
  // Each name of the table got what its own schema makes, or its default.
  return { values: values as SettingValues, sources: sources as Sources, issuerText, faults };
}

function settle(name: SettingName, given: Given | null): Settled {
  const { schema, default: fallback } = SETTINGS[name];
  const result = schema.safeParse(given?.raw);
  if (given !== null && result.success) {
    const faults = isExposed(name, given) ? [exposure(name, given.source)] : [];
    return { value: result.data, source: given.source, faults };
  }
  const faults = given === null ? [] : [refusal(name, given.raw, given.source)];
  return { value: fallback === null ? null : schema.parse(fallback), source: { kind: 'default' }, faults };
}

function fromFlag(name: SettingName, flags: SettingFlags): Given | null {
  const text = flags[name];
  if (text === undefined) return null;
  return { raw: SETTINGS[name].fromText(text.trim()), source: { kind: 'flag', flag: flagOf(name) } };
}

function fromEnvironment(name: SettingName, env: Env, cwd: string, faults: ConfigFault[]): Given | null {
  const { env: variable, fromText } = SETTINGS[name];
  if (variable === null) return null;
  const { given, faults: found } =
    SETTINGS[name].isSensitive === true ? readSecret(variable, env, cwd) : readPlain(variable, env);
  faults.push(...found);
  const raw = given === null ? undefined : fromText(given.value);
  return given === null || raw === undefined ? null : { raw, source: given.source };
}

/** An empty variable counts as not set: that is how compose files and shells unset one. */
function readPlain(variable: string, env: Env): ReturnType<typeof readSecret> {
  const value = env[variable]?.trim() ?? '';
  const given = value === '' ? null : { value, source: { kind: 'environment', name: variable } as const };
  return { given, faults: [] };
}

function fromFile(name: SettingName, { file, entries }: SettingsFile): Given | null {
  const entry: FileEntry | undefined = entries.get(SETTINGS[name].path);
  return entry === undefined
    ? null
    : { raw: entry.value, source: { kind: 'settings file', file, line: entry.line } };
}

/** A password stands where others can read it: among the flags of a process, or in the settings file. */
function isExposed(name: SettingName, { raw, source }: Given): boolean {
  const isPublic = source.kind === 'flag' || source.kind === 'settings file';
  return SETTINGS[name].isSensitive === true && isPublic && typeof raw === 'string' && holdsPassword(raw);
}
