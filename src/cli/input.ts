/** Standard input: a pipe that is read, or a person who is asked. What a person types here is not shown. */
import { createInterface } from 'node:readline';
import { Readable, Writable } from 'node:stream';

export interface Input {
  /** True where a person types; otherwise it is a pipe or a file. */
  isTerminal(): boolean;
  /** All of it as UTF-8; null where it is longer than `maxBytes`, or no UTF-8. */
  readAll(maxBytes: number): Promise<string | null>;
  /** The line that a person typed; null where they gave up (Ctrl-D). */
  ask(question: string): Promise<string | null>;
  /** The line that a person typed, without an echo; null where they gave up (Ctrl-C, Ctrl-D). */
  askHidden(question: string): Promise<string | null>;
}

/** A stream that may be a terminal, as `process.stdin` is. */
type Source = Readable & { readonly isTTY?: boolean };

/** Makes the input of a process; `source` gives its stream when it is first needed. */
export const createInput = (source: () => Source, err: (text: string) => void): Input => ({
  isTerminal: () => source().isTTY === true,
  readAll: (maxBytes) => readAll(source(), maxBytes),
  ask: (question) => ask(source(), question, err),
  askHidden: (question) => askHidden(source(), question, err),
});

async function readAll(stream: Readable, maxBytes: number): Promise<string | null> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of stream) {
    const read = Buffer.from(chunk as Buffer | string); // a byte stream gives nothing else
    bytes += read.length;
    if (bytes > maxBytes) return null;
    chunks.push(read);
  }
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(chunks));
  } catch {
    return null;
  }
}

/** The terminal itself shows what is typed. */
function ask(stream: Readable, question: string, err: (text: string) => void): Promise<string | null> {
  return new Promise((resolve) => {
    const lines = createInterface({ input: stream, terminal: false });
    err(question);
    lines.once('line', (line) => {
      resolve(line);
      lines.close();
    });
    lines.once('close', () => resolve(null)); // after a line this changes nothing
  });
}

/** Readline edits the line, as people expect of a terminal, and writes what it would show to nowhere. */
function askHidden(stream: Readable, question: string, err: (text: string) => void): Promise<string | null> {
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() });
  return new Promise((resolve) => {
    let answer: string | null = null;
    const lines = createInterface({ input: stream, output: nowhere, terminal: true, historySize: 0 });
    err(question); // the terminal shows nothing from here on
    lines.once('line', (line) => {
      answer = line;
      lines.close();
    });
    lines.once('SIGINT', () => lines.close());
    lines.once('close', () => {
      err('\n'); // the one that was typed was not shown
      resolve(answer);
    });
  });
}
