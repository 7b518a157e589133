/** An example for the help of each command that has commands below it; those below have their own. */
import type { Command } from 'commander';

const EXAMPLES: Readonly<Record<string, string>> = {
  portcullis: 'portcullis serve',
  clients: 'portcullis clients create billing --scope "read"',
  'vpn-nodes': 'portcullis vpn-nodes create node-berlin --name "Berlin"',
  users: 'portcullis users create ada --email ada@example.com',
  'api-keys': 'portcullis api-keys create "Nightly build" --user ci-bot',
  customers: 'portcullis customers create acme --customer-type premium',
  keys: 'portcullis keys rotate --alg ES256',
  audit: 'portcullis audit list --limit 20',
  config: 'portcullis config print',
  secrets: 'portcullis secrets generate --output secrets.env',
  gateway: 'portcullis gateway generate nginx --upstream http://127.0.0.1:8022 --output nginx.conf',
  'vpn-key': 'portcullis vpn-key rotate',
};

/** Adds them to the program and to its nouns. */
export function addExamples(program: Command): void {
  for (const command of [program, ...program.commands]) {
    const example = EXAMPLES[command.name()];
    if (example !== undefined) command.addHelpText('after', `\nExample:\n  ${example}`);
  }
}
