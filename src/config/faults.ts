/**
 * What is wrong with the configuration, and how it is told: the variable, where its value came from, what was
 * found, what was expected and what to do. No secret reaches these texts; `redact.ts` says how values are shown.
 */

/** Where a value came from. */
export type Source =
  | { readonly kind: 'flag'; readonly flag: string }
  | { readonly kind: 'environment'; readonly name: string }
  | { readonly kind: 'secret file'; readonly name: string; readonly file: string }
  | { readonly kind: 'settings file'; readonly file: string; readonly line: number | null }
  | { readonly kind: 'development secrets'; readonly file: string }
  | { readonly kind: 'disk'; readonly file: string }
  | { readonly kind: 'default' }
  | { readonly kind: 'missing' };

/** One thing to mend, or, as a warning, to know. Each text is a clause without its full stop, `remedy` a sentence. */
export interface ConfigFault {
  /** The name in the environment, or the path in the settings file where there is none. */
  readonly variable: string;
  /** The path in the settings file; null for what may not stand there. */
  readonly path: string | null;
  readonly source: Source;
  readonly found: string;
  readonly expected: string;
  readonly remedy: string;
}

/** Tells a source in a few words, such as `environment` or `config/portcullis.yaml:12`. */
export function describeSource(source: Source): string {
  switch (source.kind) {
    case 'flag':
      return `flag ${source.flag}`;
    case 'environment':
      return `environment ${source.name}`;
    case 'secret file':
      return `${source.name}, ${source.file}`;
    case 'settings file':
      return source.line === null ? source.file : `${source.file}:${source.line}`;
    case 'development secrets':
    case 'disk':
      return source.file;
    case 'default':
    case 'missing':
      return source.kind;
  }
}

/** Tells one fault in up to three sentences. */
export function describeFault(fault: ConfigFault): string {
  const origin = fault.source.kind === 'missing' ? '' : ` (${describeSource(fault.source)})`;
  return `${nameOf(fault)}${origin}: ${fault.found}; expected ${fault.expected}. ${fault.remedy}`;
}

/** Tells all faults at once, one a line. */
export function describeFaults(faults: readonly ConfigFault[]): string {
  const count = faults.length === 1 ? 'one fault' : `${faults.length} faults`;
  return [`The configuration has ${count}:`, ...faults.map((fault) => `  - ${describeFault(fault)}`)].join(
    '\n',
  );
}

function nameOf({ variable, path }: ConfigFault): string {
  return path === null || path === variable ? variable : `${variable} [${path}]`;
}
