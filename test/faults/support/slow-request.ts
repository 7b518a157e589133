/**
 * A request that takes as long as its sender likes: the first part is sent now, the rest when told. Raw, since no
 * client library stops in the middle.
 */
import { once } from 'node:events';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

const SERVER_READS_MS = 50;

export interface SlowRequest {
  /** Sends the rest; gives the first line of the answer, or why there is none. */
  finish(): Promise<string>;
  close(): void;
}

/** Sends all but the last characters of a request, on a connection of its own. */
export async function beginRequest(port: number, text: string, keptBack: number): Promise<SlowRequest> {
  const socket = connect({ host: '127.0.0.1', port, noDelay: true });
  await once(socket, 'connect');
  let failure: string | null = null;
  socket.on('error', (error) => (failure = 'code' in error ? String(error.code) : error.message));
  socket.write(text.slice(0, -keptBack));
  await sleep(SERVER_READS_MS);
  return {
    finish: async () => {
      socket.write(text.slice(-keptBack));
      return firstLine(await readAnswer(socket), () => failure);
    },
    close: () => void socket.destroy(),
  };
}

/** Makes a form POST as it goes over the wire. */
export function toText(path: string, headers: Readonly<Record<string, string>>, body: string): string {
  const lines = Object.entries({
    Host: 'localhost',
    'Content-Type': 'application/x-www-form-urlencoded',
    'Content-Length': String(body.length),
    ...headers,
  }).map(([name, value]) => `${name}: ${value}`);
  return [`POST ${path} HTTP/1.1`, ...lines, '', body].join('\r\n');
}

async function readAnswer(socket: Socket): Promise<string> {
  return new Promise((resolve) => {
    socket.once('data', (chunk: Buffer) => resolve(chunk.toString()));
    socket.once('close', () => resolve(''));
  });
}

const firstLine = (answer: string, failure: () => string | null): string =>
  answer === '' ? (failure() ?? 'closed without an answer') : (answer.split('\r\n')[0] ?? '');
