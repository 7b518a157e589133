/**
 * Requests begin in waves: all that come in one turn of the event loop, up to a bound. The steps of a wave run side by
 * side, each step for all its requests while the processor has its code at hand, which saves a tenth of the time of a
 * token, and their writes reach the store together. A wave of everybody would leave nothing to do while the store writes.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';

const MOST = 24;

type Begin = (request: IncomingMessage, response: ServerResponse) => void;

/** The same, in waves. */
export function inWaves(begin: Begin): Begin {
  const wave: Parameters<Begin>[] = [];
  const beginAll = (): void => {
    for (const messages of wave.splice(0)) begin(...messages);
  };
  return (request, response) => {
    wave.push([request, response]);
    if (wave.length === 1) setImmediate(beginAll);
    if (wave.length === MOST) beginAll();
  };
}
