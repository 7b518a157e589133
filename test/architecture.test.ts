/**
 * The import table of the design, checked on the sources as the compiler reads them: comments and texts cannot
 * fool it. Only run-time imports count; `import type` is free everywhere.
 */
import { describe, expect, test } from '@jest/globals';
import { globSync, readFileSync } from 'node:fs';
import { dirname, join, posix, relative, sep } from 'node:path';

import ts from 'typescript';

const SRC = join(import.meta.dirname, '../src');
const MAX_LINES = 250;
/** A table with an entry for each setting, and the contract of a store: split, they would be two places to look. */
const LONGER: readonly string[] = ['config/settings.ts', 'storage/port.ts'];

interface Source {
  /** Below src/, with slashes. */
  readonly path: string;
  readonly text: string;
  readonly tree: ts.SourceFile;
  /** Package names, `node:…`, and own files as paths below src/. */
  readonly imports: readonly string[];
}

interface Rule {
  /** The longest place that a path starts with is the one that counts. */
  readonly place: string;
  /** A file, a folder (with a slash at its end) or a package; `node:` is every module of Node. */
  readonly may: readonly string[];
}

/** The table. A folder may always import itself; a reason stands where the design's table says less. */
const RULES: readonly Rule[] = [
  { place: 'errors.ts', may: [] },
  { place: 'names.ts', may: [] },
  { place: 'scopes.ts', may: [] },
  { place: 'instant.ts', may: [] },
  { place: 'digest.ts', may: ['node:'] },
  { place: 'input-words.ts', may: [] },
  { place: 'permissions.ts', may: [] },
  { place: 'storage/port.ts', may: [] },
  { place: 'storage/parsed.ts', may: [] },
  {
    place: 'storage/open.ts',
    may: [
      ...['storage/sqlite/storage.ts', 'storage/mongo/storage.ts'],
      ...['storage/sqlite/restore.ts', 'storage/mongo/restore.ts'],
    ],
  },
  // The drivers share one number with the port: how long an operation may wait.
  { place: 'storage/sqlite/', may: ['node:', 'errors.ts', 'storage/parsed.ts', 'storage/port.ts'] },
  {
    place: 'storage/mongo/',
    may: ['mongoose', 'node:', 'errors.ts', 'storage/parsed.ts', 'storage/port.ts'],
  },
  { place: 'keys/', may: ['jose', 'node:', 'errors.ts', 'instant.ts'] },
  { place: 'config.ts', may: ['config/'] },
  { place: 'colour.ts', may: [] },
  { place: 'networks.ts', may: ['node:'] },
  // It refuses an accent that cannot be read; the views derive from the same arithmetic.
  // It refuses a permission that there is none of, by its name.
  {
    place: 'config/',
    may: ['zod', 'yaml', 'node:', 'colour.ts', 'json-schema.ts', 'networks.ts', 'permissions.ts'],
  },
  // A slice's logic. What an administrator may say of a client or a resource server is data that enters: zod.
  { place: 'clients/', may: ['node:', 'digest.ts', 'errors.ts', 'input-words.ts', 'instant.ts', 'zod'] },
  { place: 'resource-servers/', may: ['node:', 'errors.ts', 'scopes.ts', 'zod'] },
  { place: 'audit/', may: ['node:', 'digest.ts', 'errors.ts', 'instant.ts'] },
  { place: 'statistics/', may: [] },
  { place: 'backup/', may: ['node:', 'errors.ts', 'storage/port.ts', 'age-encryption'] },
  // A user and a session are shown to administrators in the words in which they are shown to their owner.
  { place: 'admin/', may: ['accounts/', 'api/', 'audit/actions.ts', 'audit/view.ts', 'instant.ts', 'zod'] },
  { place: 'apply/', may: ['node:', 'errors.ts', 'input-words.ts', 'zod', 'yaml'] },
  { place: 'vpn/', may: ['node:', 'errors.ts'] },
  // The feed of what ended, of one slice as of another.
  { place: 'revocations/', may: ['node:', 'errors.ts'] },
  { place: 'revocations/routes.ts', may: ['errors.ts', 'http/', 'koa-router', 'zod'] },
  // A token of a customer says the same, whether the server makes it or a program that has the module.
  { place: 'customers/', may: ['node:', 'jose', 'errors.ts', 'sdk/customers/'] },
  {
    place: 'customers/schema.ts',
    may: ['errors.ts', 'input-words.ts', 'instant.ts', 'customers/', 'sdk/customers/', 'zod'],
  },
  { place: 'customers/routes.ts', may: ['customers/', 'sdk/customers/', 'api/', 'zod'] },
  { place: 'json-schema.ts', may: ['ajv/dist/2020.js'] },
  { place: 'vpn/test-token.ts', may: ['node:', 'jose', 'names.ts'] },
  // Usernames are folded as the register of names folds them, or two spellings would be two people.
  {
    place: 'accounts/',
    may: ['node:', 'digest.ts', 'errors.ts', 'instant.ts', 'names.ts', 'argon2', 'bcryptjs'],
  },
  {
    place: 'accounts/pages/',
    may: ['accounts/', 'http/', 'i18n/', 'errors.ts', 'node:', 'koa-router', 'zod'],
  },
  {
    place: 'accounts/api/',
    may: ['accounts/', 'api/', 'http/', 'i18n/', 'errors.ts', 'instant.ts', 'zod'],
  },
  { place: 'accounts/schema.ts', may: ['errors.ts', 'input-words.ts', 'zod'] },
  // What a key may do are permissions.
  { place: 'apikeys/', may: ['node:', 'digest.ts', 'errors.ts', 'permissions.ts'] },
  { place: 'apikeys/schema.ts', may: ['instant.ts', 'permissions.ts', 'apikeys/', 'zod'] },
  { place: 'apikeys/routes.ts', may: ['apikeys/', 'api/', 'zod'] },
  { place: 'vpn/status-routes.ts', may: ['errors.ts', 'http/', 'vpn/', 'koa-router'] },
  { place: 'vpn/key-proof.ts', may: ['node:', 'jose', 'errors.ts', 'vpn/'] },
  { place: 'vpn/public-key.ts', may: ['zod'] },
  { place: 'vpn/enrolment-routes.ts', may: ['errors.ts', 'http/', 'koa-router', 'zod'] },
  { place: 'vpn/routes.ts', may: ['errors.ts', 'http/', 'koa-router', 'zod'] },
  { place: 'i18n/', may: ['node:', 'i18next'] },
  { place: 'mail/', may: ['node:', 'nodemailer', 'eta', 'errors.ts', 'i18n/'] },
  // Pages speak the reader's language, in the brand's colours, and know a browser by its name.
  {
    place: 'http/',
    may: [
      ...['node:', 'errors.ts', 'input-words.ts', 'koa', 'koa-router', 'helmet', 'eta', 'bowser'],
      // It judges addresses by the networks that the configuration checked.
      ...['i18n/', 'colour.ts', 'networks.ts'],
    ],
  },
  // What the routes of the JSON API have in common: one definition makes the route and its document.
  {
    place: 'api/',
    may: ['http/', 'i18n/', 'errors.ts', 'permissions.ts', 'koa-router', 'zod', 'zod-openapi'],
  },
  // It signs and verifies JWTs where the engine does not, with jose, and digests ids, with node:crypto. The name of
  // the client that is built in stands with those that nobody else may have; what is public of a key, with the keys.
  {
    place: 'oidc/',
    may: [
      ...['oidc-provider', 'jose', 'node:', 'digest.ts', 'errors.ts', 'names.ts', 'scopes.ts', 'http/'],
      'keys/material.ts',
    ],
  },
  // Configurations are written, never run.
  { place: 'gateway/', may: ['yaml'] },
  { place: 'verify/', may: ['node:', 'errors.ts'] },
  { place: 'verify/route.ts', may: ['verify/', 'api/', 'errors.ts', 'zod'] },
  // What the package exports to other programs stands on its own. A node's side guards itself as any back end does.
  { place: 'sdk/', may: ['jose', 'node:', 'sdk/guard/', 'sdk/feed/'] },
  { place: 'observability.ts', may: ['pino', 'prom-client'] },
  { place: 'events.ts', may: [] },
  { place: 'version.ts', may: ['node:'] },
  { place: 'readiness.ts', may: [] },
  { place: 'background.ts', may: ['node:', 'errors.ts'] },
  { place: 'outgoing.ts', may: ['node:'] },
  // Composition roots: of the server, of what it does once its store is open, and of what the command line does.
  { place: 'app.ts', may: ['*'] },
  { place: 'composition/', may: ['*'] },
  { place: 'composition/jobs.ts', may: ['background.ts'] },
  { place: 'composition/told-engine.ts', may: [] },
  { place: 'composition/protocol-limits.ts', may: ['http/'] },
  // serve.ts makes the destination of the log with pino, since it alone knows the process's standard output.
  {
    place: 'cli/',
    may: [
      'commander',
      'pino',
      'node:',
      'app.ts',
      'composition/administration.ts',
      'sdk/customers/',
      'composition/administration-backup.ts',
      'config.ts',
      'config/',
      'errors.ts',
      'gateway/',
      'instant.ts',
      'version.ts',
      // `vpn-check` asks the server as a node does.
      'sdk/node/node.ts',
    ],
  },
  { place: 'main.ts', may: ['node:module', 'node:path', 'node:process', 'cli/'] },
];

function parse(path: string, text: string): Source {
  const tree = ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true);
  return { path, text, tree, imports: importsOf(tree, path) };
}

/** Static and dynamic imports, re-exports, and the workers and files that `new URL('….ts')` names. */
function importsOf(tree: ts.SourceFile, path: string): readonly string[] {
  const found: string[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isImportDeclaration(node) && !isTypeOnly(node.importClause))
      found.push(textOf(node.moduleSpecifier));
    if (ts.isExportDeclaration(node) && !node.isTypeOnly && node.moduleSpecifier !== undefined) {
      found.push(textOf(node.moduleSpecifier));
    }
    if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) {
      found.push(textOf(node.arguments[0]));
    }
    ts.forEachChild(node, visit);
  };
  visit(tree);
  return found.map((specifier) =>
    specifier.startsWith('.')
      ? relative(SRC, join(SRC, dirname(path), specifier))
          .split(sep)
          .join('/')
      : specifier,
  );
}

const isTypeOnly = (clause: ts.ImportClause | undefined): boolean =>
  clause?.phaseModifier === ts.SyntaxKind.TypeKeyword;

/** An import of something computed cannot be checked, so it is none that the table allows. */
const textOf = (node: ts.Node | undefined): string =>
  node !== undefined && ts.isStringLiteral(node) ? node.text : '(computed)';

const SOURCES: readonly Source[] = globSync('**/*.ts', { cwd: SRC }).map((file) => {
  const path = file.split(sep).join(posix.sep);
  return parse(path, readFileSync(join(SRC, file), 'utf8'));
});

const ruleOf = (path: string): Rule | undefined =>
  RULES.filter(({ place }) => (place.endsWith('/') ? path.startsWith(place) : path === place)).sort(
    (a, b) => b.place.length - a.place.length,
  )[0];

function isAllowed(imported: string, path: string, { may }: Rule): boolean {
  const folder = path.includes('/') ? `${posix.dirname(path)}/` : null;
  if (may.includes('*') || (folder !== null && imported.startsWith(folder))) return true;
  return may.some((it) => (/[/:]$/.test(it) ? imported.startsWith(it) : imported === it));
}

const forbidden = ({ path, imports }: Source): readonly string[] => {
  const rule = ruleOf(path);
  if (rule === undefined) return [`${path} has no line in the table`];
  return imports.filter((it) => !isAllowed(it, path, rule)).map((it) => `${path} imports ${it}`);
};

/** The paths of the sources that import it at run time. */
const importersOf = (name: string): readonly string[] =>
  SOURCES.filter(({ imports }) => imports.includes(name)).map(({ path }) => path);

describe('the import table', () => {
  test('holds for every source', () => {
    expect(SOURCES.length).toBeGreaterThan(70);
    expect(SOURCES.flatMap(forbidden)).toEqual([]);
  });

  test('has no line for a place that is not there', () => {
    const unused = RULES.filter(({ place }) => !SOURCES.some(({ path }) => ruleOf(path)?.place === place));
    expect(unused.map(({ place }) => place)).toEqual([]);
  });

  test.each([
    ['an import', "import { Provider } from 'oidc-provider';", ['oidc-provider']],
    ['an import without names', "import 'koa';", ['koa']],
    ['an import over lines', "import {\n  a,\n} from '../clients/registry.ts';", ['clients/registry.ts']],
    ['a re-export', "export { a } from '../app.ts';", ['app.ts']],
    ['a dynamic import', "const it = await import('mongoose');", ['mongoose']],
    ['a computed import', 'await import(name);', ['(computed)']],
    ['a type among values', "import { a, type B } from 'koa';", ['koa']],
    ['an import type', "import type { A } from 'koa';", []],
    ['an export type', "export type { A } from 'koa';", []],
    ['a comment', "// import a from 'koa';\n/* import b from 'koa'; */", []],
    ['a text', 'const text = "import a from \'koa\'";', []],
  ])('sees %s as it is', (_name, text, expected) => {
    expect(parse('vpn/exchange.ts', text).imports).toEqual(expected);
  });

  test('refuses a slice that imports another, and logic that imports the router', () => {
    const slice = parse(
      'vpn/exchange.ts',
      "import '../clients/registry.ts';\nimport './routes.ts';\nimport 'koa';",
    );
    expect(forbidden(slice)).toEqual([
      'vpn/exchange.ts imports clients/registry.ts',
      'vpn/exchange.ts imports koa',
    ]);
  });
});

describe('what stands in one place only', () => {
  test('oidc-provider in oidc/', () => {
    expect(importersOf('oidc-provider')).toContain('oidc/provider.ts');
    expect(importersOf('oidc-provider').filter((path) => !path.startsWith('oidc/'))).toEqual([]);
  });

  test('mongoose in storage/mongo/, node:sqlite in storage/sqlite/', () => {
    expect(importersOf('mongoose').every((path) => path.startsWith('storage/mongo/'))).toBe(true);
    expect(importersOf('node:sqlite')).toEqual(['storage/sqlite/database.ts']);
  });

  test('the process in main.ts and cli/', () => {
    const users = SOURCES.filter(
      ({ tree, imports }) => imports.includes('node:process') || usesProcess(tree),
    );
    expect(users.map(({ path }) => path)).toContain('main.ts');
    expect(users.map(({ path }) => path).filter((path) => !/^(main\.ts$|cli\/)/.test(path))).toEqual([]);
  });
});

/** The global itself, not a property of that name. */
function usesProcess(tree: ts.SourceFile): boolean {
  const isGlobal = (node: ts.Node): boolean =>
    ts.isIdentifier(node) &&
    node.text === 'process' &&
    !(ts.isPropertyAccessExpression(node.parent) && node.parent.name === node) &&
    !(ts.isPropertyAssignment(node.parent) && node.parent.name === node);
  const search = (node: ts.Node): boolean => isGlobal(node) || (ts.forEachChild(node, search) ?? false);
  return search(tree);
}

describe('each file', () => {
  test(`has at most ${MAX_LINES} lines`, () => {
    const long = SOURCES.filter(({ text }) => text.trimEnd().split('\n').length > MAX_LINES);
    expect(long.map(({ path }) => path).toSorted()).toEqual(LONGER);
  });

  test('opens with a comment', () => {
    expect(SOURCES.filter(({ text }) => !/^\/[/*]/.test(text)).map(({ path }) => path)).toEqual([]);
  });

  test('has no default export', () => {
    const isDefault = (node: ts.Node): boolean =>
      ts.isExportAssignment(node) || (ts.canHaveModifiers(node) && hasDefault(node));
    const files = SOURCES.filter(({ tree }) => tree.statements.some(isDefault));
    expect(files.map(({ path }) => path)).toEqual([]);
  });
});

const hasDefault = (node: ts.HasModifiers): boolean =>
  ts.getModifiers(node)?.some(({ kind }) => kind === ts.SyntaxKind.DefaultKeyword) ?? false;
