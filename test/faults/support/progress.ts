/** Progress for whoever watches: a line a phase on standard error, with the seconds since the file began. */
const begin = performance.now();

/** Prints one line. */
export function progress(message: string): void {
  const seconds = ((performance.now() - begin) / 1000).toFixed(1).padStart(6);
  process.stderr.write(`  ${seconds} s  ${message}\n`);
}
