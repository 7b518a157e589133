/** The process: refuses an old Node, hands the command line over, and ends with its exit code. */
import { enableCompileCache } from 'node:module';
import { join } from 'node:path';
import process from 'node:process';

const OLDEST_NODE = 24;

if (Number(process.versions.node.split('.')[0]) < OLDEST_NODE) {
  process.stderr.write(
    `Portcullis needs Node ${OLDEST_NODE} or newer, and this is ${process.version}: start it by npm start, which brings its own.\n`,
  );
  process.exit(1);
}

// What Node makes of the sources is kept among the dependencies: it is half of the work of a short command. Where nothing
// may be written there, it is made each time.
enableCompileCache(join(import.meta.dirname, '../node_modules/.cache/portcullis'));

const { runProgram } = await import('./cli/program.ts');
const { processIo } = await import('./cli/io.ts');

await runProgram(process.argv.slice(2), processIo());
