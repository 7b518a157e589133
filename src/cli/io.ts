/**
 * What a command touches of the process, as one small argument, so that commands run in tests as they do in a
 * shell. Standard output is for the answer alone (with `--json` one document), standard error for everything else.
 */
import { errorCode } from '../config/secret-sources.ts';

/** 0 done, 1 refused or failed, 2 wrong usage. */
export const EXIT = { done: 0, failed: 1, usage: 2 } as const;
type ExitCode = (typeof EXIT)[keyof typeof EXIT];

export interface Io {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  /** Writes to standard output as it is: the line feed belongs to the text. */
  out(text: string): void;
  /** Writes to standard error. */
  err(text: string): void;
  setExitCode(code: ExitCode): void;
}

/** The process itself. */
export function processIo(): Io {
  return {
    env: process.env,
    cwd: process.cwd(),
    out: (text) => void process.stdout.write(text),
    err: (text) => void process.stderr.write(text),
    setExitCode: (code) => {
      process.exitCode = code;
    },
  };
}

/** Answers with one JSON document. */
export function printJson(io: Io, document: unknown): void {
  io.out(`${JSON.stringify(document, null, 2)}\n`);
}

/** Ends a command that was refused or failed, with a sentence that says what to do. */
export function fail(io: Io, sentence: string): void {
  io.err(`${sentence}\n`);
  io.setExitCode(EXIT.failed);
}

/** The sentence for a file, named on the command line, that cannot be read. */
export function unreadable(file: string, error: unknown): string {
  const code = errorCode(error);
  const reason = code === 'ENOENT' ? 'there is no such file' : code === 'EISDIR' ? 'it is a folder' : code;
  return `${file} cannot be read (${reason}): name a file that this user may read.`;
}
