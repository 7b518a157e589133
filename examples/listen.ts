/**
 * What both examples share of HTTP: listening on loopback, ending cleanly, and answers whose headers let the
 * browser load and send nothing that the example does not name.
 */
import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';

export interface ExampleServer {
  /** Under `localhost`: what a browser opens, and what redirect URIs are registered with. */
  readonly origin: string;
  close(): Promise<void>;
}

export interface Answer {
  readonly status: number;
  readonly type: string;
  readonly body: string | Buffer;
  readonly headers?: Readonly<Record<string, string | readonly string[]>>;
}

export interface ExampleRequest {
  readonly method: string;
  /** Under the example's own origin, whatever the Host header says. */
  readonly url: URL;
  readonly headers: IncomingMessage['headers'];
}

/** Answers one request; what it throws becomes a 500 without detail. */
export type Handler = (request: ExampleRequest) => Promise<Answer>;

/** Listens on loopback; port 0 takes any free one. `makeHandler` gets the origin that came of it. */
export async function listen(
  port: number,
  contentSecurityPolicy: readonly string[],
  makeHandler: (origin: string) => Handler,
): Promise<ExampleServer> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject).listen(port, '127.0.0.1', resolve);
  });
  const origin = `http://localhost:${portOf(server.address())}`;
  const handle = makeHandler(origin);
  server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    void answer(origin, request, handle).then((it) => send(response, it, contentSecurityPolicy));
  });
  return {
    origin,
    close: async () => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeAllConnections(); // a browser keeps its connections open for as long as it likes
      await closed;
    },
  };
}

function portOf(address: ReturnType<ReturnType<typeof createServer>['address']>): number {
  if (typeof address !== 'object' || address === null) throw new Error('it listens on no port');
  return address.port;
}

async function answer(origin: string, request: IncomingMessage, handle: Handler): Promise<Answer> {
  const { method = '', url = '/', headers } = request;
  if (!url.startsWith('/') || !URL.canParse(origin + url)) return plain(400, 'Ask for a path.');
  try {
    return await handle({ method, url: new URL(origin + url), headers });
  } catch (error) {
    console.error(error);
    return plain(500, 'Something went wrong in the example; its terminal says what.');
  }
}

function send(
  response: ServerResponse,
  { status, type, body, headers = {} }: Answer,
  contentSecurityPolicy: readonly string[],
): void {
  response.setHeader('Content-Type', type);
  response.setHeader('Content-Security-Policy', contentSecurityPolicy.join('; '));
  response.setHeader('X-Content-Type-Options', 'nosniff');
  response.setHeader('Referrer-Policy', 'no-referrer');
  response.setHeader('Cross-Origin-Opener-Policy', 'same-origin');
  response.setHeader('Cache-Control', 'no-store');
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
  response.writeHead(status).end(body);
}

/** A text for whoever asked for something that is not there. */
export const plain = (status: number, text: string): Answer => ({
  status,
  type: 'text/plain; charset=utf-8',
  body: `${text}\n`,
});
