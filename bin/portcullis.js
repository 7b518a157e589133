#!/usr/bin/env -S node --disable-proto=throw
// Plain JavaScript, so that a Node too old for the sources can still be told so.
import process from 'node:process';

if (Number(process.versions.node.split('.')[0]) < 24) {
  process.stderr.write(
    `Portcullis needs Node 24 or newer, and this is ${process.version}: start it by npm start, which brings its own.\n`,
  );
  process.exit(1);
}
await import('../src/main.ts');
