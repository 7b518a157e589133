/** The words for a setting's value that is refused: what was found, what was expected, and a line that works. */
import type { ConfigFault, Source } from './faults.ts';
import { showScheme, showValue } from './redact.ts';
import { SETTINGS, nameOf } from './settings.ts';
import type { SettingName } from './settings.ts';

/** The fault of a value that the setting's schema does not take. */
export function refusal(name: SettingName, raw: unknown, source: Source): ConfigFault {
  const { expected, isSensitive } = SETTINGS[name];
  const found = isSensitive === true ? showScheme(raw) : showValue(raw);
  return settingFault(name, source, `found ${found}`, expected, remedyFor(name, source));
}

/** The fault of a password that stands where others can read it. */
export function exposure(name: SettingName, source: Source): ConfigFault {
  const variable = nameOf(name);
  const place =
    source.kind === 'flag' ? 'a flag, which every user of the machine can read' : 'the settings file';
  const remedy = `Remove it there and set ${variable}, or ${variable}_FILE, in the environment.`;
  return settingFault(name, source, `found a password in ${place}`, 'none there', remedy);
}

/** A fault of one setting. */
export function settingFault(
  name: SettingName,
  source: Source,
  found: string,
  expected: string,
  remedy: string,
): ConfigFault {
  return { variable: nameOf(name), path: SETTINGS[name].path, source, found, expected, remedy };
}

function remedyFor(name: SettingName, source: Source): string {
  const example = exampleOf(name);
  if (source.kind === 'flag') return `Give ${source.flag} ${example}, for example.`;
  if (source.kind === 'environment') return `Set ${source.name}=${example}, for example.`;
  if (source.kind === 'secret file') return `Write a value such as ${example} into the file.`;
  return `Write \`${lineFor(name)}\`, for example, or remove the line.`;
}

/** A line of the settings file that works, without the section it stands in. */
export function lineFor(name: SettingName): string {
  const { path } = SETTINGS[name];
  return `${path.slice(path.lastIndexOf('.') + 1)}: ${exampleOf(name)}`;
}

function exampleOf(name: SettingName): string {
  const { example, default: fallback } = SETTINGS[name];
  return example ?? (typeof fallback === 'object' ? JSON.stringify(fallback) : String(fallback));
}
