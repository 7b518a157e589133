/**
 * What a command touches of the process, as one small argument, so that commands run in tests as they do in a
 * shell. Standard output is for the answer alone (with `--json` one document), standard error for everything else.
 */
import { errorCode } from '../config/secret-sources.ts';
import type { ErrorCode } from '../errors.ts';
import { createInput } from './input.ts';
import type { Input } from './input.ts';

/** 0 done, 1 refused or failed, 2 wrong usage. */
export const EXIT = { done: 0, failed: 1, usage: 2 } as const;
type ExitCode = (typeof EXIT)[keyof typeof EXIT];

export interface Io {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  readonly input: Input;
  /** Writes to standard output as it is: the line feed belongs to the text. */
  out(text: string): void;
  /** Writes bytes to standard output; resolves when it took them, and rejects where it does not. */
  outBytes(bytes: Uint8Array): Promise<void>;
  /** Writes to standard error. */
  err(text: string): void;
  /** True where a person looks at it, and no file or pipe takes it. */
  isTerminal(stream: 'out' | 'err'): boolean;
  setExitCode(code: ExitCode): void;
  /** True where the command was asked for one JSON document (`--json`). */
  readonly isJson?: () => boolean;
}

/** The process itself. */
export function processIo(): Io {
  let isAnswerLost = false;
  // A log that is full or gone must not end a server; there is nobody else to tell.
  process.stderr.on('error', () => undefined);
  const onOutputError = (error: Error): void => {
    if (isAnswerLost) return;
    isAnswerLost = true;
    process.exitCode = EXIT.failed;
    process.stderr.write(lostAnswer(error));
  };

  const err = (text: string): void => void process.stderr.write(text);
  return {
    env: process.env,
    cwd: process.cwd(),
    input: createInput(() => process.stdin, err),
    out: (text) => {
      // Not before the first answer: `serve` leaves standard output to its log.
      if (!process.stdout.listeners('error').includes(onOutputError))
        process.stdout.on('error', onOutputError);
      process.stdout.write(text);
    },
    outBytes: (bytes) =>
      new Promise((resolve, reject) => {
        if (!process.stdout.listeners('error').includes(toldElsewhere))
          process.stdout.on('error', toldElsewhere);
        process.stdout.write(bytes, (error) => {
          if (error) reject(error);
          else resolve();
        });
      }),
    err,
    isTerminal: (stream) => (stream === 'out' ? process.stdout : process.stderr).isTTY,
    setExitCode: (code) => {
      if (!isAnswerLost) process.exitCode = code;
    },
  };
}

/** Whoever wrote is told by the call; a stream whose error nobody hears throws it. */
const toldElsewhere = (): void => undefined;

/** A secret is shown once: where that failed, whoever asked must know that it exists and how to get another. */
const lostAnswer = (error: Error): string =>
  `Standard output cannot be written (${error.message}), so the answer is lost. What the command did stays done. ` +
  'A secret that it made cannot be shown again: make a new one by `portcullis vpn-nodes rotate-secret ID`, ' +
  'for a client by `portcullis clients rotate-secret ID`, for an API key by `portcullis api-keys rotate ID`; ' +
  'an enrolment code by `portcullis vpn-nodes enrol ID`.\n';

/** Answers with one JSON document. */
export function printJson(io: Io, document: unknown): void {
  io.out(`${JSON.stringify(document, null, 2)}\n`);
}

/** Why a command failed, for programs: a code of `errors.ts`, or that of a fault before or behind them. */
export type FailureCode = ErrorCode | 'invalid_configuration' | 'wrong_usage' | 'failed';

/**
 * Ends a command that was refused or failed, with a sentence that says what to do; with `--json` standard output
 * has `{ "error": { "code", "message" } }`.
 */
export function fail(io: Io, sentence: string, code: FailureCode = 'invalid_request'): void {
  io.err(`${sentence}\n`);
  if (io.isJson?.() === true) printJson(io, { error: { code, message: sentence } });
  io.setExitCode(EXIT.failed);
}

/** The sentence for a file, named on the command line, that cannot be read. */
export function unreadable(file: string, error: unknown): string {
  const code = errorCode(error);
  const reason = code === 'ENOENT' ? 'there is no such file' : code === 'EISDIR' ? 'it is a folder' : code;
  return `${file} cannot be read (${reason}): name a file that this user may read.`;
}

/** The sentence for a new file, named by `--output`, that cannot be made. */
export function unwritable(file: string, error: unknown): string {
  const code = errorCode(error);
  if (code === 'EEXIST') return `${file} is there already and was left as it is: give --output another name.`;
  if (code === 'ENOENT') return `The folder of ${file} does not exist: make it first.`;
  return `${file} cannot be written (${code}): give --output a place where this user may write.`;
}
