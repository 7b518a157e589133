/**
 * A keep-alive HTTP client that never throws: what came back, or why nothing did, and how long it took. Every
 * request ends within REQUEST_TIMEOUT_MS.
 */
import { Agent, request } from 'node:http';
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { text } from 'node:stream/consumers';

const REQUEST_TIMEOUT_MS = 12_000;

export interface HttpRequest {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent as a form. */
  readonly form?: Readonly<Record<string, string>>;
}

export interface Answer {
  /** 0 where none came. */
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
  /** Why none came, such as ECONNRESET; null where one did. */
  readonly failure: string | null;
  /** True where the connection had carried a request before. */
  readonly isReused: boolean;
  /** Of performance.now(). */
  readonly startedAt: number;
  readonly ms: number;
}

export interface HttpClient {
  send(what: HttpRequest): Promise<Answer>;
  close(): void;
}

/** A client of the server on this port of 127.0.0.1, with at most so many connections. */
export function createHttpClient(port: number, maxConnections: number): HttpClient {
  const agent = new Agent({ keepAlive: true, maxSockets: maxConnections, maxFreeSockets: maxConnections });
  return {
    send: (what) => send(agent, port, what),
    close: () => agent.destroy(),
  };
}

async function send(agent: Agent, port: number, what: HttpRequest): Promise<Answer> {
  const { method, path, form } = what;
  const body = form === undefined ? '' : new URLSearchParams(form).toString();
  const startedAt = performance.now();
  const outgoing = request({ agent, host: '127.0.0.1', port, method, path, headers: headersOf(what, body) });
  const timer = setTimeout(() => outgoing.destroy(named('TIMEOUT')), REQUEST_TIMEOUT_MS);
  try {
    const incoming = await new Promise<IncomingMessage>((resolve, reject) => {
      outgoing.once('response', resolve);
      outgoing.once('error', reject);
      outgoing.end(body);
    });
    const received = await text(incoming);
    const { statusCode: status = 0, headers } = incoming;
    return answerOf({ status, headers, body: received, isReused: outgoing.reusedSocket, startedAt });
  } catch (error) {
    return answerOf({ failure: codeOf(error), isReused: outgoing.reusedSocket, startedAt });
  } finally {
    clearTimeout(timer);
  }
}

const headersOf = ({ headers, form }: HttpRequest, body: string) => ({
  ...(form !== undefined && {
    'Content-Type': 'application/x-www-form-urlencoded',
    'Content-Length': String(Buffer.byteLength(body)),
  }),
  ...headers,
});

const answerOf = (known: Partial<Answer> & Pick<Answer, 'isReused' | 'startedAt'>): Answer => ({
  status: 0,
  headers: {},
  body: '',
  failure: null,
  ms: performance.now() - known.startedAt,
  ...known,
});

const named = (code: string): Error => Object.assign(new Error(code), { code });

const codeOf = (error: unknown): string =>
  typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : String(error);
