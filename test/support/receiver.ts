/** A client's server that is told of logouts, and where its keys are: a real HTTP server, which answers as it is told. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Received {
  readonly method: string;
  readonly type: string | undefined;
  readonly body: URLSearchParams;
}

type Answer = (response: ServerResponse, request: Received) => void;

export interface Receiver {
  readonly url: string;
  readonly received: readonly Received[];
  /** How it answers from now on; by default 204. */
  answer: Answer;
  /** Resolves once it has received so many. */
  reached(count: number): Promise<void>;
  stop(): Promise<void>;
}

export const status =
  (code: number, headers: Readonly<Record<string, string>> = {}, body = ''): Answer =>
  (response) => {
    response.writeHead(code, headers).end(body);
  };

/** Starts one on a free port of loopback, or again on the one that it had. */
export async function startReceiver(port = 0): Promise<Receiver> {
  const received: Received[] = [];
  const waiting: { readonly count: number; readonly resolve: () => void }[] = [];
  const receiver: { answer: Answer } = { answer: status(204) };
  const server = createServer((request, response) => {
    void read(request).then((body) => {
      const { method = '', headers } = request;
      const told = { method, type: headers['content-type'], body };
      received.push(told);
      for (const { count, resolve } of waiting) if (received.length >= count) resolve();
      receiver.answer(response, told);
    });
  });
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  const { port: own } = server.address() as AddressInfo; // a TCP server that listens has one
  return Object.assign(receiver, {
    url: `http://127.0.0.1:${own}/`,
    received,
    reached: (count: number) =>
      received.length >= count
        ? Promise.resolve()
        : new Promise<void>((resolve) => void waiting.push({ count, resolve })),
    stop: async () => {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  });
}

async function read(request: IncomingMessage): Promise<URLSearchParams> {
  const chunks: Buffer[] = [];
  for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
  return new URLSearchParams(Buffer.concat(chunks).toString());
}
