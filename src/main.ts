/** The process: refuses an old Node, hands the command line over, and ends with its exit code. */
import process from 'node:process';

const OLDEST_NODE = 24;

if (Number(process.versions.node.split('.')[0]) < OLDEST_NODE) {
  process.stderr.write(
    `Portcullis needs Node ${OLDEST_NODE} or newer, and this is ${process.version}: start it by npm start, which brings its own.\n`,
  );
  process.exit(1);
}

const { runProgram } = await import('./cli/program.ts');
const { processIo } = await import('./cli/io.ts');

await runProgram(process.argv.slice(2), processIo());
