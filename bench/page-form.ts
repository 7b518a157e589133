/** A form of a page as a browser sends it, over kept connections, with the time that the whole answer took. */
import { Agent, request } from 'node:http';
import type { IncomingHttpHeaders } from 'node:http';

export interface Reply {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
  /** From the request to the end of the answer. */
  readonly ms: number;
}

export type SendForm = (fields: Readonly<Record<string, string>>) => Promise<Reply>;

/** Opens a page once, and gives what sends its form again and again, on as many connections as are needed. */
export async function openForm(origin: string, page: string, action: string): Promise<SendForm> {
  const agent = new Agent({ keepAlive: true });
  const opened = await ask(agent, origin + page, 'GET', {}, '');
  const csrf = /name="csrf" value="([^"]+)"/.exec(opened.body)?.[1];
  if (csrf === undefined) throw new Error(`${page} has no form: ${opened.status}`);
  const headers = {
    accept: 'text/html',
    'content-type': 'application/x-www-form-urlencoded',
    cookie: (opened.headers['set-cookie'] ?? []).map((cookie) => cookie.split(';')[0]).join('; '),
    'sec-fetch-site': 'same-origin',
  };
  return (fields) =>
    ask(agent, origin + action, 'POST', headers, new URLSearchParams({ csrf, ...fields }).toString());
}

/** One request, to the end of its answer. */
export function ask(
  agent: Agent,
  url: string,
  method: string,
  headers: Readonly<Record<string, string>>,
  body: string,
): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const startedAt = performance.now();
    const sent = request(url, { agent, method, headers: { ...headers, 'content-length': body.length } });
    sent.on('response', (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () => {
        const ms = performance.now() - startedAt;
        const text = Buffer.concat(chunks).toString('utf8');
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body: text, ms });
      });
    });
    sent.on('error', reject);
    sent.end(body);
  });
}
