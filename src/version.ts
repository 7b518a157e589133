/** Which Portcullis this is. */
import { readFileSync } from 'node:fs';

/** As package.json says. */
export function readVersion(): string {
  const text = readFileSync(new URL('../package.json', import.meta.url), 'utf8');
  const { version } = JSON.parse(text) as { version: string }; // npm does not install a package without one
  return version;
}
