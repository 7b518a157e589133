/**
 * The log on its way out. Its lines leave in blocks, since each write wakes another thread; they are gathered here,
 * since the destination measures all that waits again with each line. A full disk or a closed pipe costs log lines,
 * not the service.
 */
import { pino } from 'pino';
import type { DestinationStream } from 'pino';

// A block leaves when it is this long, and at the latest after this time.
const BLOCK_LENGTH = 32 * 1024;
const FLUSH_MS = 200;
// What waits for a disk that is full or a reader that is slow; beyond it blocks are dropped, so that memory stays flat.
const MAX_WAITING_BYTES = 8 * 1024 * 1024;
// A log that cannot be written does not hold up the end of the process.
const LAST_MS = 500;

export interface Log {
  readonly destination: DestinationStream;
  /** Writes what waits, where it can be written. */
  readonly end: () => Promise<void>;
}

/** Opens the log to a file descriptor or a file; `tell` hears, once a fault, that it cannot be written. */
export function openLog(dest: number | string, tell: (trouble: string) => void): Log {
  let block = '';
  let isStuck = false;
  const handOn = (): void => {
    if (block !== '') out.write(block);
    block = '';
  };
  const atExit = (): void => {
    if (isStuck) out.destroy();
    else handOn();
  };
  // Ahead of the destination's own handler, whose flushSync() tries a full disk again for ever: so would a crash.
  process.once('exit', atExit);
  // It writes at once what is longer than a block; the last one waits in it for its flush().
  const out = pino.destination({
    dest,
    sync: false,
    minLength: BLOCK_LENGTH,
    maxWrite: 2 * BLOCK_LENGTH,
    maxLength: MAX_WAITING_BYTES,
  });
  out.on('error', (error: Error) => {
    if (!isStuck) tell(`The log cannot be written (${error.message}): lines are lost until it can.\n`);
    isStuck = true;
  });
  out.on('write', () => {
    isStuck = false;
  });
  const timer = setInterval(() => {
    handOn();
    out.flush();
  }, FLUSH_MS);

  return {
    destination: {
      write: (line) => {
        block += line;
        if (block.length >= BLOCK_LENGTH) handOn();
      },
    },
    end: async () => {
      clearInterval(timer);
      handOn();
      const ended = Promise.withResolvers<undefined>();
      const giveUp = setTimeout(ended.resolve, LAST_MS, undefined);
      out.once('close', ended.resolve).once('error', ended.resolve).end();
      await ended.promise;
      clearTimeout(giveUp);
      process.off('exit', atExit); // what came meanwhile has nowhere to go any more
      out.destroy();
    },
  };
}
