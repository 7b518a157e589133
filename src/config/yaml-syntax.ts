/**
 * What the YAML of a settings file can be wrong in, whatever it says. The parser's own messages quote the file, so
 * they are never passed on: a secret may stand there by mistake.
 */
import { visit } from 'yaml';
import type { Document } from 'yaml';

import type { ConfigFault } from './faults.ts';

const WORDS: Readonly<Record<string, string>> = {
  DUPLICATE_KEY: 'a key that stands there twice',
  MULTIPLE_DOCS: 'a second YAML document',
  RESOURCE_EXHAUSTION: 'nesting that is far too deep',
  TAB_AS_INDENT: 'a tab as indentation',
  TAG_RESOLVE_FAILED: 'a YAML tag',
};

interface SyntaxCheck {
  readonly faults: readonly ConfigFault[];
  /** False where what the file says cannot be told from it. */
  readonly isReadable: boolean;
}

type LineOf = (offset: number | undefined) => number;

/** Checks a parsed document, before anything of it is made into values. */
export function checkSyntax(document: Document.Parsed, file: string, lineOf: LineOf): SyntaxCheck {
  const problems = [...document.errors, ...document.warnings];
  const toFault = ({ code, pos }: (typeof problems)[number]): ConfigFault => {
    const found = WORDS[code] ?? 'a line that is no valid YAML';
    return fileFault(file, lineOf(pos[0]), found, 'plain YAML', 'Mend or remove this line.');
  };
  const duplicates = problems.filter(({ code }) => code === 'DUPLICATE_KEY').map(toFault);
  // After any other fault the parser guesses on, so only the first one tells something.
  const first = problems
    .filter(({ code }) => code !== 'DUPLICATE_KEY')
    .slice(0, 1)
    .map(toFault);
  if (first.length > 0) return { faults: [...duplicates, ...first], isReadable: false };
  const aliases = aliasFaults(document, file, lineOf);
  return { faults: [...duplicates, ...aliases], isReadable: aliases.length === 0 };
}

/** A fault of the file as a whole, or of one of its lines. */
export function fileFault(
  file: string,
  line: number | null,
  found: string,
  expected: string,
  remedy: string,
): ConfigFault {
  const source = { kind: 'settings file', file, line } as const;
  return { variable: 'CONFIG_FILE', path: null, source, found, expected, remedy };
}

/** Aliases of aliases are how a few lines become gigabytes; no setting needs one. */
function aliasFaults(document: Document.Parsed, file: string, lineOf: LineOf): readonly ConfigFault[] {
  const faults: ConfigFault[] = [];
  visit(document, {
    Alias: (_, { range }) => {
      const remedy = 'Write the value out instead of *alias.';
      faults.push(fileFault(file, lineOf(range?.[0]), 'an alias', 'plain YAML without aliases', remedy));
      return visit.BREAK;
    },
  });
  return faults;
}
