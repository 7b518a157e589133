// Reads what Jest wrote about its runs (--json). `failed FILE`: the test files that failed, a line each.
// `passed FILE…` and `failures FILE…`: how many tests did; of a test file that ran twice the last run counts.
import { existsSync, readFileSync } from 'node:fs';

const [question, ...files] = process.argv.slice(2);
const results = new Map();
for (const file of files.filter((name) => existsSync(name))) {
  for (const result of JSON.parse(readFileSync(file, 'utf8')).testResults) results.set(result.name, result);
}
const all = [...results.values()];
const count = (wanted) =>
  all.flatMap(({ assertionResults }) => assertionResults).filter(({ status }) => status === wanted).length;
// A file that could not be loaded has no test that failed.
const unloaded = all.filter(
  ({ status, assertionResults }) => status === 'failed' && assertionResults.length === 0,
).length;

if (question === 'failed') for (const { name, status } of all) status === 'failed' && console.log(name);
if (question === 'passed') console.log(count('passed'));
if (question === 'failures') console.log(count('failed') + unloaded);
