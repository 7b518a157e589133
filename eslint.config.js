// Lint rules: the strictest type-aware set, plus what the project's style asks for by name.
import js from '@eslint/js';
import tseslint from 'typescript-eslint';

export default tseslint.config(
  { ignores: ['node_modules', 'var', 'coverage', 'dist'] },
  js.configs.recommended,
  {
    files: ['**/*.ts'],
    extends: [...tseslint.configs.strictTypeChecked, ...tseslint.configs.stylisticTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }],
      '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
      // A factory returns async methods to satisfy a port even where its engine is synchronous.
      '@typescript-eslint/require-await': 'off',
      // The port's records are interfaces or types as they read best.
      '@typescript-eslint/consistent-type-definitions': 'off',
      // Parts are closures made by factories: none of their methods has a `this` to lose.
      '@typescript-eslint/unbound-method': 'off',
      // A reader of JSON names the type that the writer beside it wrote.
      '@typescript-eslint/no-unnecessary-type-parameters': 'off',
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', ignoreRestSiblings: true }],
      'max-lines': ['error', { max: 250, skipBlankLines: true, skipComments: true }],
      'max-lines-per-function': ['error', { max: 60, skipBlankLines: true, skipComments: true }],
      'no-restricted-globals': [
        'error',
        { name: 'process', message: 'Only main.ts and cli/ may touch the process.' },
      ],
    },
  },
  {
    // A table with an entry for each setting, and the contract of a store: split, they would be two places to look.
    files: ['src/config/settings.ts', 'src/storage/port.ts'],
    rules: { 'max-lines': 'off' },
  },
  {
    files: ['src/main.ts', 'src/cli/**', 'test/**', 'bench/**'],
    rules: { 'no-restricted-globals': 'off' },
  },
  {
    files: ['test/**', 'bench/**'],
    rules: { 'max-lines-per-function': 'off', 'max-lines': ['error', { max: 500 }] },
  },
  {
    files: ['**/*.js'],
    languageOptions: { globals: { process: 'readonly', console: 'readonly', Buffer: 'readonly' } },
  },
);
