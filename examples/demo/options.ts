/** What the command line of the tour says. */
import { parseArgs } from 'node:util';

export const HELP = `An interactive tour of the JSON API, in the terminal: each step says what happens and
why it matters, and shows the request and the answer.

Usage: npm run demo -- [options]

  --server URL  tour a server that runs already, such as http://localhost:8011;
                without it the tour starts one of its own, in a temporary folder
                and on a free port, and removes it at the end
  --yes         ask nothing: play it to the end, and exit with 1 at a surprise
  --help        show this

At a server that runs already the tour makes an account (demo-…), which stays; it
cannot read mails there, and makes nobody an administrator, so that some steps are
left out. Exit codes: 0 all was as expected, 1 it was not, 2 wrong usage.

Examples:
  npm run demo
  npm run demo -- --yes
  npm run demo -- --server http://localhost:8011
`;

export interface Options {
  /** An origin; null: a server of the tour's own. */
  readonly server: string | null;
  readonly asksNothing: boolean;
  readonly isHelp: boolean;
}

type Parsed =
  | { readonly ok: true; readonly options: Options }
  /** A sentence that says what is wrong and what to write. */
  | { readonly ok: false; readonly fault: string };

/** Reads the arguments. */
export function parseOptions(argv: readonly string[]): Parsed {
  try {
    const { values } = parseArgs({
      args: [...argv],
      options: {
        server: { type: 'string' },
        yes: { type: 'boolean' },
        help: { type: 'boolean', short: 'h' },
      },
    });
    const { server, yes = false, help = false } = values;
    const origin = server === undefined ? null : originOf(server);
    if (origin === undefined) {
      return refused(
        `--server takes the origin of a server, such as http://localhost:8011, not "${server ?? ''}".`,
      );
    }
    return { ok: true, options: { server: origin, asksNothing: yes, isHelp: help } };
  } catch (error) {
    return refused(
      Error.isError(error) ? (error.message.split('. ')[0] ?? '').replace(/\.?$/, '.') : String(error),
    );
  }
}

const refused = (fault: string): Parsed => ({ ok: false, fault: `${fault} See: npm run demo -- --help` });

/** Undefined for what is more than an origin, or none at all. */
function originOf(text: string): string | undefined {
  if (!URL.canParse(text)) return undefined;
  const { protocol, origin, pathname, search, hash, username, password } = new URL(text);
  const isHttp = protocol === 'http:' || protocol === 'https:';
  const isMore = pathname !== '/' || `${search}${hash}${username}${password}` !== '';
  return isHttp && !isMore ? origin : undefined;
}
