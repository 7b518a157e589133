/** The log on its way out: no line is lost, however the process ends. */
import { expect, test } from '@jest/globals';
import { join } from 'node:path';

import { makeFolder, ROOT, start } from './serve-process.ts';
import type { Ended } from './serve-process.ts';

// Beyond some blocks.
const LINES = 5_000;

/** Runs a program that has opened the log to its standard output as `log`. */
function run(program: string): Promise<Ended> {
  const opened = `import { openLog } from ${JSON.stringify(join(ROOT, 'src/cli/log.ts'))};
    const log = openLog(1, (trouble) => process.stderr.write(trouble));
    const write = (count) => { for (let i = 0; i < count; i += 1) log.destination.write(\`line \${i}\\n\`); };`;
  const argv = ['--disable-warning=ExperimentalWarning', '--input-type=module', '--eval', opened + program];
  return start(process.execPath, argv, { cwd: makeFolder() }).ended;
}

const lines = (count: number): string => Array.from({ length: count }, (_line, i) => `line ${i}\n`).join('');

test.each([
  ['ends', 'write(LINES); await log.end();', 0],
  ['exits', 'write(3); process.exit(7);', 7],
  ['fails', 'write(3); throw new Error("of its own");', 1],
  ['exits long after', 'write(3); setTimeout(() => process.exit(7), 500);', 7],
])('a process that %s has written all its lines', async (_name, program, code) => {
  const ended = await run(program.replace('LINES', String(LINES)));
  expect([ended.code, ended.out]).toEqual([code, lines(program.includes('LINES') ? LINES : 3)]);
});

test('a line that comes after the end is lost, and fails nothing', async () => {
  const ended = await run('write(3); await log.end(); write(1);');
  expect(ended).toEqual({ code: 0, out: lines(3), err: '' });
});

test('a line leaves soon, though no other follows', async () => {
  const { out } = await run(
    'write(1); setTimeout(() => { log.destination.write("late"); process.kill(process.pid, "SIGKILL"); }, 1_000);',
  );
  expect(out).toBe(lines(1));
});
